import { useState } from "preact/hooks";
import { Icon } from "../icon";

export async function toClipboard(text: string): Promise<void> {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Pages without TLS have no clipboard of their own.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** Copies a text, and says so for a moment. */
export function CopyButton({ text, label }: { text: string | (() => string); label: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await toClipboard(typeof text === "string" ? text : text());
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class="plain copy" onClick={copy} title={label} aria-label={label}>
      <Icon name={isDone ? "check" : "copy"} />
      <span class="visually-hidden" aria-live="polite">
        {isDone ? "Copied" : ""}
      </span>
    </button>
  );
}
