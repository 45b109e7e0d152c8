import { humanDuration } from "../values/durations";
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
