import { useEffect, useMemo, useState } from "preact/hooks";
import { ask, messageOf } from "../../../api/client";
import { hasSeries, type Result, type Series } from "../../../api/results";
import { Failure, Loading } from "../../../components/states";
import { labelName } from "../../../values/labels";
import { count } from "../../../values/numbers";
import { humanDuration } from "../../../values/time/durations";
import { type Panel, timeParameter } from "../panels/panel";
import { useParsed } from "./parsed";
import "../../../styles/explain.css";
import { type Expression, expressionText, headText, partCount, partsOf, seriesText } from "./syntax";

export interface Part {
  path: string;
  text: string;
}

interface Found {
  state: "waiting" | "done" | "failed";
  /** What came out, in a few words. */
  said: string;
  tookMs: number;
  /** Labels with how many values each has. */
  labels: readonly (readonly [string, number])[];
}

interface Placed extends Part {
  node: Expression;
}

// Of more series than this no labels are counted.
const SERIES_MAX = 1000;
const LABELS_SHOWN = 6;
const PARTS_MAX = 100;

/** All parts, each after those that it is made of. */
function inOrder(node: Expression, path = "0"): Placed[] {
  const below = partsOf(node).flatMap((part, at) => inOrder(part, `${path}.${at}`));
  return [...below, { path, node, text: expressionText(node) }];
}

/** How many values each label has, the most first. */
export function labelCounts(series: readonly Series[]): [string, number][] {
  const values = new Map<string, Set<string>>();
  for (const { metric } of series) {
    for (const [name, value] of Object.entries(metric)) {
      if (name === "__name__") continue;
      const known = values.get(name) ?? new Set();
      known.add(value);
      values.set(name, known);
    }
  }
  return [...values].map(([name, found]): [string, number] => [name, found.size]).sort((a, b) => b[1] - a[1]);
}

async function look(text: string, panel: Panel, signal: AbortSignal): Promise<Found> {
  const began = performance.now();
  const parameters = { query: text, ...timeParameter(panel), limit: SERIES_MAX };
  try {
    const answer = await ask<Result>("/query", parameters, { signal, post: true });
    const tookMs = performance.now() - began;
    const { data } = answer;
    if (!hasSeries(data)) return { state: "done", said: data.result[1], tookMs, labels: [] };
    const number = data.result.length;
    const isCut = number >= SERIES_MAX;
    const said = number === 1 ? "1 series" : `${isCut ? "at least " : ""}${count(number)} series`;
    return { state: "done", said: number ? said : "nothing", tookMs, labels: labelCounts(data.result) };
  } catch (error) {
    return { state: "failed", said: messageOf(error), tookMs: 0, labels: [] };
  }
}

/** What each part gives, asked one after the other, so that the time of each is its own. */
function useFound(whole: Expression | undefined, panel: Panel, turn: number): ReadonlyMap<string, Found> {
  const [found, setFound] = useState<ReadonlyMap<string, Found>>(new Map());
  useEffect(() => {
    setFound(new Map());
    if (!whole) return undefined;
    const ending = new AbortController();
    const run = async () => {
      const known = new Map<string, Found>();
      for (const { node, text } of inOrder(whole)) {
        if (node.type === "numberLiteral" || node.type === "stringLiteral" || known.has(text)) continue;
        known.set(text, await look(seriesText(node), panel, ending.signal));
        if (ending.signal.aborted) return;
        setFound(new Map(known));
      }
    };
    void run();
    return () => ending.abort();
  }, [whole, panel.endMs, turn]);
  return found;
}

function Outcome({ found }: { found: Found | undefined }) {
  if (!found) return <span class="part-state" aria-hidden="true" />;
  if (found.state === "failed") return <span class="bad-text">{found.said}</span>;
  const shown = found.labels.slice(0, LABELS_SHOWN);
  return (
    <span class="part-found">
      <strong class={found.said === "nothing" ? "muted" : ""}>{found.said}</strong>
      <span class="muted">{humanDuration(found.tookMs)}</span>
      {shown.map(([name, number]) => (
        <span class="part-label" key={name} title={`${count(number)} values of ${name}`}>
          {labelName(name)}: {count(number)}
        </span>
      ))}
      {found.labels.length > shown.length ? (
        <span class="muted">and {count(found.labels.length - shown.length)} more</span>
      ) : null}
    </span>
  );
}

function Branch({
  node,
  path,
  found,
  chosen,
  onChoose,
}: {
  node: Expression;
  path: string;
  found: ReadonlyMap<string, Found>;
  chosen: string;
  onChoose: (part: Part) => void;
}) {
  const text = expressionText(node);
  const parts = partsOf(node);
  const isLiteral = node.type === "numberLiteral" || node.type === "stringLiteral";
  return (
    <li>
      <div class="plan-node">
        {isLiteral ? (
          <code>{text}</code>
        ) : (
          <button
            type="button"
            class="plain part"
            aria-pressed={path === chosen}
            title={text}
            onClick={() => onChoose({ path, text })}
          >
            <code>{headText(node)}</code>
          </button>
        )}
        {isLiteral ? null : <Outcome found={found.get(text)} />}
      </div>
      {parts.length ? (
        <ul>
          {parts.map((part, at) => (
            <Branch
              key={`${path}.${at}`}
              node={part}
              path={`${path}.${at}`}
              found={found}
              chosen={chosen}
              onChoose={onChoose}
            />
          ))}
        </ul>
      ) : null}
    </li>
  );
}

/** The parts of an expression with what each gives. One that is chosen is what the panel shows below. */
export function PartsTree({
  panel,
  turn,
  chosen,
  onChoose,
}: {
  panel: Panel;
  turn: number;
  chosen: string;
  onChoose: (part: Part) => void;
}) {
  const parsed = useParsed(panel.expression);
  const whole = parsed.error === undefined ? parsed.data : undefined;
  const number = useMemo(() => (whole ? partCount(whole, PARTS_MAX + 1) : 0), [whole]);
  const found = useFound(number > PARTS_MAX ? undefined : whole, panel, turn);
  if (parsed.error !== undefined) return <Failure error={parsed.error} />;
  if (!whole) return <Loading />;
  if (number > PARTS_MAX)
    return <p class="muted">More than {count(PARTS_MAX)} parts: too many to ask each.</p>;
  return (
    <section class="parts-tree" aria-label="Parts of the expression">
      <p class="muted">
        {number === 1 ? "One part." : "Choose a part, and it alone is shown below."} Series, time and values
        of each label at the panel's time.
      </p>
      <ul class="plan">
        <Branch node={whole} path="0" found={found} chosen={chosen} onChoose={onChoose} />
      </ul>
    </section>
  );
}
