import { count } from "../../values/numbers";
import "../../styles/chips.css";

export interface FilterChip {
  name: string;
  /** What the chip says, where the name is not for people. */
  title?: string;
  /** How many of what: "2/3 up". */
  counts: string;
  isUnwell: boolean;
}

const SHOWN = 60;

/** One part of a list chosen by a click; those that are unwell come first where there are more than can be shown. */
export function FilterChips({
  label,
  chips,
  chosen,
  onChoose,
}: {
  label: string;
  chips: readonly FilterChip[];
  chosen: string;
  onChoose: (name: string) => void;
}) {
  if (chips.length < 2 && !chosen) return null;
  const shown =
    chips.length > SHOWN
      ? [...chips].sort((a, b) => Number(b.isUnwell) - Number(a.isUnwell)).slice(0, SHOWN)
      : chips;
  return (
    <fieldset class="filter-chips">
      <legend class="visually-hidden">{label}</legend>
      {shown.map((chip) => (
        <button
          type="button"
          key={chip.name}
          class={chip.isUnwell ? "filter-chip unwell" : "filter-chip"}
          aria-pressed={chip.name === chosen}
          onClick={() => onChoose(chip.name === chosen ? "" : chip.name)}
        >
          {chip.title ?? chip.name}
          <span class="chip-count">{chip.counts}</span>
        </button>
      ))}
      {chips.length > shown.length ? (
        <span class="muted">and {count(chips.length - shown.length)} more: search for them</span>
      ) : null}
    </fieldset>
  );
}
