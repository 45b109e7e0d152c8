import type { ComponentChildren } from "preact";

export interface Bar {
  key: string;
  name: ComponentChildren;
  value: number;
  shown: string;
}

/** Names with a bar behind each as long as its value: what is large is seen before it is read. */
export function Bars({ bars, label }: { bars: readonly Bar[]; label: string }) {
  if (!bars.length) return <p class="muted">None.</p>;
  const most = Math.max(...bars.map((bar) => bar.value), 1e-300);
  return (
    <ol class="bars" aria-label={label}>
      {bars.map((bar) => (
        <li key={bar.key}>
          <span class="bar-name">{bar.name}</span>
          <span class="bar-value">{bar.shown}</span>
          <span class="bar-track" aria-hidden="true">
            <span
              class="bar-fill"
              style={{ width: bar.value > 0 ? `max(2px, ${(100 * bar.value) / most}%)` : "0" }}
            />
          </span>
        </li>
      ))}
    </ol>
  );
}
