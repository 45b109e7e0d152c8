import { humanDuration } from "../values/time/durations";
import "../styles/timebar.css";

export interface TimePart {
  name: string;
  kind: string;
  s: number;
}

/** Where time went: a bar of parts; what is too short to be seen is seen all the same. */
export function TimeBar({ parts, wholeS }: { parts: readonly TimePart[]; wholeS: number }) {
  return (
    <span
      class="parts"
      role="img"
      aria-label={parts.map((part) => `${part.name} ${humanDuration(part.s * 1000)}`).join(", ")}
    >
      {parts.map((part) => (
        <span
          key={part.kind}
          class={`part ${part.kind}`}
          // Factors that add up to less than one would leave the rest of the bar empty.
          style={{ flexGrow: 1000 * Math.max(wholeS ? part.s / wholeS : 0, 0.005) }}
          title={`${part.name}: ${humanDuration(part.s * 1000)}`}
        />
      ))}
    </span>
  );
}

/** What the colours of bars stand for: those parts that occur. */
export function TimeLegend({ parts }: { parts: readonly TimePart[] }) {
  const names = new Map(parts.map((part) => [part.kind, part.name]));
  if (!names.size) return null;
  return (
    <ul class="time-legend muted" aria-label="Colours of the bars">
      {[...names].map(([kind, name]) => (
        <li key={kind}>
          <span class={`part ${kind}`} aria-hidden="true" />
          {name}
        </li>
      ))}
    </ul>
  );
}
