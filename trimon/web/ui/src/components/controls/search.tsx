import { useEffect, useRef, useState } from "preact/hooks";

interface Properties {
  value: string;
  onChange: (value: string) => void;
  label: string;
  placeholder?: string;
}

const WAIT_MS = 120;

/** A search field; "/" on the page leads to it, Escape empties it. What is typed counts after a moment. */
export function SearchField({ value, onChange, label, placeholder }: Properties) {
  const [typed, setTyped] = useState(value);
  const field = useRef<HTMLInputElement>(null);
  const timer = useRef(0);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    const toField = (event: KeyboardEvent) => {
      const at = event.target as HTMLElement;
      if (event.key !== "/" || event.ctrlKey || event.metaKey || at.isContentEditable) return;
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) return;
      event.preventDefault();
      field.current?.focus();
    };
    document.addEventListener("keydown", toField);
    return () => document.removeEventListener("keydown", toField);
  }, []);
  const change = (text: string, waitMs: number) => {
    setTyped(text);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => onChange(text), waitMs);
  };
  return (
    <input
      ref={field}
      type="search"
      class="search"
      value={typed}
      aria-label={label}
      placeholder={placeholder ?? label}
      onInput={(event) => change(event.currentTarget.value, WAIT_MS)}
      onKeyDown={(event) => {
        if (event.key === "Escape" && typed) change("", 0);
      }}
    />
  );
}
