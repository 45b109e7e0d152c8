import type { ComponentChildren } from "preact";

/** What may be wider or higher than its place: it scrolls by keyboard, too. */
export function Scrolled({
  label,
  kind = "",
  children,
}: {
  label: string;
  kind?: string;
  children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without it no key could scroll it.
    <section class={`scrolled ${kind}`} aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
