import type { Labels } from "../values/labels";

/** One label as a chip, the name before the value. */
export function LabelChip({ name, value }: { name: string; value: string }) {
  return (
    <span class="chip">
      <span class="chip-name">{name}</span>
      <span class="chip-value">{value}</span>
    </span>
  );
}

/** Labels as chips. */
export function LabelChips({ labels, without = [] }: { labels: Labels; without?: readonly string[] }) {
  return (
    <span class="chips">
      {Object.entries(labels)
        .filter(([name]) => !without.includes(name))
        .map(([name, value]) => (
          <LabelChip key={name} name={name} value={value} />
        ))}
    </span>
  );
}
