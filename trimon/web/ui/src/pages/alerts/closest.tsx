import { Link } from "wouter-preact";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Loaded } from "../../components/states";
import { Time } from "../../components/time";
import { type Comparison, comparison } from "../../values/comparison";
import { type Labels, seriesName } from "../../values/labels";
import { parseNumber, short } from "../../values/numbers";

interface Sample {
  metric: Labels;
  value: [number, string];
}

interface Line {
  values?: [number, string][];
}

interface Highest {
  /** When the left side had a value first. */
  firstMs: number;
  atMs: number;
  value: string;
  metric: Labels;
}

const STEP_S = 60;

/** Of a line its first time, and the sample that is furthest in a direction; undefined where there is none. */
export function furthest(
  line: readonly (readonly [number, string])[],
  isUp: boolean,
): { firstMs: number; atMs: number; value: string } | undefined {
  let best: readonly [number, string] | undefined;
  for (const sample of line) {
    const value = parseNumber(sample[1]);
    if (Number.isNaN(value)) continue;
    const known = best ? parseNumber(best[1]) : Number.NaN;
    if (best === undefined || (isUp ? value > known : value < known)) best = sample;
  }
  const [first] = line;
  return best && first ? { firstMs: first[0] * 1000, atMs: best[0] * 1000, value: best[1] } : undefined;
}

/** When a rule's left side came closest to what the rule waits for, and which series it was. */
async function closest(
  { left, operator }: Comparison,
  hours: string,
  signal: AbortSignal,
): Promise<Highest | undefined> {
  const isUp = operator.startsWith(">");
  const end = Math.floor(Date.now() / 1000);
  const range = { start: end - Number(hours) * 3600, end, step: STEP_S };
  const options = { signal, post: true };
  const over = { query: `${isUp ? "max" : "min"}(${left})`, ...range };
  const line = (await ask<{ result: Line[] }>("/query_range", over, options)).data.result[0]?.values ?? [];
  const found = furthest(line, isUp);
  if (!found) return undefined;
  const at = { query: `${isUp ? "topk" : "bottomk"}(1, ${left})`, time: found.atMs / 1000 };
  const one = await ask<{ result: Sample[] }>("/query", at, options);
  return { ...found, metric: one.data.result[0]?.metric ?? {} };
}

/** How close an alert came: the most that its left side ever was, beside the number that it is compared with. */
export function Closest({ query, hours }: { query: string; hours: string }) {
  const parts = comparison(query);
  return parts ? <Found parts={parts} hours={hours} /> : null;
}

function Found({ parts, hours }: { parts: Comparison; hours: string }) {
  const asked = useAsked((signal) => closest(parts, hours, signal), [parts.left, parts.operator, hours]);
  const graph = new URLSearchParams({
    "g0.expr": parts.left,
    "g0.tab": "graph",
    "g0.range_input": `${hours}h`,
  });
  return (
    <Loaded asked={asked}>
      {(found) => (
        <p>
          {found ? (
            <>
              The {parts.operator.startsWith(">") ? "highest" : "lowest"} value of its left side was{" "}
              <strong>{short(parseNumber(found.value))}</strong> at <Time timeMs={found.atMs} />, looked at
              every minute; it fires at {parts.operator} {parts.threshold}.{" "}
              {Object.keys(found.metric).length ? <code>{seriesName(found.metric)}</code> : null}{" "}
              {found.firstMs > asked.at - Number(hours) * 3_600_000 + 2 * STEP_S * 1000 ? (
                <>
                  It has values only since <Time timeMs={found.firstMs} />.
                </>
              ) : null}
            </>
          ) : (
            "Its left side had no value at all in this time."
          )}{" "}
          <Link href={`/query?${graph}`}>Graph of the left side</Link>
        </p>
      )}
    </Loaded>
  );
}
