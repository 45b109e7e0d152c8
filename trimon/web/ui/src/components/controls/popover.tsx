import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "../../styles/popover.css";

/** A button that opens a box beside it; Escape closes it, and so does a click or focus elsewhere. */
export function Popover({
  button,
  label,
  isPlain = true,
  children,
}: {
  button: ComponentChildren;
  /** What the button is called where it has no text. */
  label?: string;
  isPlain?: boolean;
  children: (close: () => void) => ComponentChildren;
}) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLSpanElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const away = (event: Event) => {
      const isKey = event instanceof KeyboardEvent;
      if (isKey ? event.key !== "Escape" : box.current?.contains(event.target as Node)) return;
      setOpen(false);
      if (isKey) opener.current?.focus();
    };
    const kinds = ["pointerdown", "keydown", "focusin"] as const;
    for (const kind of kinds) document.addEventListener(kind, away);
    return () => {
      for (const kind of kinds) document.removeEventListener(kind, away);
    };
  }, [isOpen]);
  return (
    <span class="popover" ref={box}>
      <button
        type="button"
        ref={opener}
        class={isPlain ? "plain" : ""}
        aria-expanded={isOpen}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!isOpen)}
      >
        {button}
      </button>
      {isOpen ? <div class="popover-box">{children(() => setOpen(false))}</div> : null}
    </span>
  );
}
