import { useEffect, useState } from "preact/hooks";
import { ask, messageOf, RequestError } from "../../../api/client";
import { bytes, count } from "../../../values/numbers";
import { expected, explainParameters, type PlanNode } from "../explain/plan";
import type { Panel } from "../panels/panel";
import { sentenceOf } from "./errorplace";

const WAIT_MS = 400;
// What is half typed is wrong most of the time: only who pauses wants to know.
const ERROR_WAIT_MS = 1000;

interface Cost {
  series: number;
  samples: number;
  bytes: number;
}

interface Properties {
  panel: Panel;
  typed: string;
  /** Whether the panel says already what is wrong. */
  isFailed: boolean;
}

/** What a query would read, or why it is none: asked while somebody types, before it is run. */
export function CostEstimate({ panel, typed, isFailed }: Properties) {
  const [cost, setCost] = useState<Cost | undefined>();
  const [wrong, setWrong] = useState("");
  const { tab, endMs, rangeMs, resolution } = panel;
  useEffect(() => {
    setCost(undefined);
    setWrong("");
    if (!typed.trim()) return undefined;
    const ending = new AbortController();
    let telling = 0;
    const timer = window.setTimeout(() => {
      const parameters = explainParameters({ ...panel, expression: typed }, tab === "graph", Date.now());
      ask<{ plan: PlanNode }>("/explain", parameters, { signal: ending.signal, post: true }).then(
        (answer) => setCost(expected(answer.data.plan)),
        (error: unknown) => {
          if (ending.signal.aborted || !(error instanceof RequestError) || error.kind !== "bad_data") return;
          telling = window.setTimeout(() => setWrong(messageOf(error)), ERROR_WAIT_MS - WAIT_MS);
        },
      );
    }, WAIT_MS);
    return () => {
      window.clearTimeout(timer);
      window.clearTimeout(telling);
      ending.abort();
    };
  }, [typed, tab, endMs, rangeMs, resolution]);
  const isWrong = wrong !== "" && !isFailed;
  return (
    <span class={isWrong ? "cost wrong" : "muted cost"} role="status">
      {cost
        ? `reads at most ${count(cost.series)} series, ${count(cost.samples)} samples, ${bytes(cost.bytes)}`
        : isWrong
          ? sentenceOf(wrong)
          : ""}
    </span>
  );
}
