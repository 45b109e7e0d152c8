/** A few choices side by side, one of which holds. */
export function Choice<T extends string>({
  value,
  choices,
  onChange,
  label,
}: {
  value: T;
  choices: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
  label: string;
}) {
  return (
    <fieldset class="choice">
      <legend class="visually-hidden">{label}</legend>
      {choices.map(([name, text]) => (
        <label key={name} class={name === value ? "chosen" : ""}>
          <input
            type="radio"
            class="visually-hidden"
            name={label}
            checked={name === value}
            onChange={() => onChange(name)}
          />
          {text}
        </label>
      ))}
    </fieldset>
  );
}
