import { Link } from "wouter-preact";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Loaded } from "../../components/states";
import { type Comparison, comparison } from "../../values/comparison";
import { type Labels, seriesName } from "../../values/labels";
import { parseNumber, short } from "../../values/numbers";

interface Sample {
  metric: Labels;
  value: [number, string];
}

const STEP_S = 60;

/** The series that came closest to what a rule waits for, over so many hours. */
function closestQuery({ left, operator }: Comparison, hours: string): string {
  const [pick, over] = operator.startsWith(">") ? ["topk", "max_over_time"] : ["bottomk", "min_over_time"];
  return `${pick}(1, ${over}((${left})[${hours}h:${STEP_S}s]))`;
}

/** How close an alert came: the most that its left side ever was, beside the number that it is compared with. */
export function Closest({ query, hours }: { query: string; hours: string }) {
  const parts = comparison(query);
  return parts ? <Found parts={parts} hours={hours} /> : null;
}

function Found({ parts, hours }: { parts: Comparison; hours: string }) {
  const asked = useAsked(
    (signal) =>
      ask<{ result: Sample[] }>("/query", { query: closestQuery(parts, hours) }, { signal, post: true }),
    [parts.left, parts.operator, hours],
  );
  const graph = new URLSearchParams({
    "g0.expr": parts.left,
    "g0.tab": "graph",
    "g0.range_input": `${hours}h`,
  });
  return (
    <Loaded asked={asked}>
      {(answer) => {
        const [found] = answer.data.result;
        return (
          <p>
            {found ? (
              <>
                The {parts.operator.startsWith(">") ? "highest" : "lowest"} value of its left side was{" "}
                <strong>{short(parseNumber(found.value[1]))}</strong>, looked at every minute; it fires at{" "}
                {parts.operator} {parts.threshold}.{" "}
                {Object.keys(found.metric).length ? <code>{seriesName(found.metric)}</code> : null}
              </>
            ) : (
              "Its left side had no value at all in this time."
            )}{" "}
            <Link href={`/query?${graph}`}>Graph of the left side</Link>
          </p>
        );
      }}
    </Loaded>
  );
}
