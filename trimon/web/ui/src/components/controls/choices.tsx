import { useState } from "preact/hooks";

const STEPS: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** A few choices side by side, of which any may hold; none means all. */
export function Choices({
  chosen,
  choices,
  all,
  onChange,
  label,
}: {
  chosen: ReadonlySet<string>;
  choices: readonly (readonly [string, string])[];
  /** What the one says that takes every choice back. */
  all: string;
  onChange: (chosen: ReadonlySet<string>) => void;
  label: string;
}) {
  const turn = (name: string) => {
    const next = new Set(chosen);
    if (!next.delete(name)) next.add(name);
    onChange(next);
  };
  // One stop of the Tab key, as radio buttons are; the arrows go from one to the next, the space bar chooses.
  const [at, setAt] = useState(0);
  const move = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const boxes = (event.currentTarget as HTMLElement).querySelectorAll<HTMLInputElement>("input");
    boxes[(at + step + boxes.length) % boxes.length]?.focus();
  };
  const every = [["", all] as const, ...choices];
  const stop = Math.min(at, every.length - 1);
  return (
    <fieldset class="choice" onKeyDown={move}>
      <legend class="visually-hidden">{label}</legend>
      {every.map(([name, text], place) => {
        const isChosen = name ? chosen.has(name) : !chosen.size;
        return (
          <label key={name} class={isChosen ? "chosen" : ""}>
            <input
              type="checkbox"
              class="visually-hidden"
              checked={isChosen}
              tabIndex={place === stop ? 0 : -1}
              onFocus={() => setAt(place)}
              onChange={() => (name ? turn(name) : onChange(new Set()))}
            />
            {text}
          </label>
        );
      })}
    </fieldset>
  );
}
