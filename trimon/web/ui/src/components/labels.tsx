import type { Labels } from "../values/labels";

/** Labels as chips, the name before the value. */
export function LabelChips({ labels, without = [] }: { labels: Labels; without?: readonly string[] }) {
  return (
    <span class="chips">
      {Object.entries(labels)
        .filter(([name]) => !without.includes(name))
        .map(([name, value]) => (
          <span class="chip" key={name}>
            <span class="chip-name">{name}</span>
            <span class="chip-value">{value}</span>
          </span>
        ))}
    </span>
  );
}
