import type { ComponentChildren } from "preact";

export type Tone = "good" | "warn" | "bad" | "info" | "none";

/** A word with a colour; the word alone says the same. */
export function Badge({
  tone = "none",
  title,
  children,
}: {
  tone?: Tone;
  title?: string;
  children: ComponentChildren;
}) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}
