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
  return (
    <fieldset class="choice">
      <legend class="visually-hidden">{label}</legend>
      <label class={chosen.size ? "" : "chosen"}>
        <input
          type="checkbox"
          class="visually-hidden"
          checked={!chosen.size}
          onChange={() => onChange(new Set())}
        />
        {all}
      </label>
      {choices.map(([name, text]) => (
        <label key={name} class={chosen.has(name) ? "chosen" : ""}>
          <input
            type="checkbox"
            class="visually-hidden"
            checked={chosen.has(name)}
            onChange={() => turn(name)}
          />
          {text}
        </label>
      ))}
    </fieldset>
  );
}
