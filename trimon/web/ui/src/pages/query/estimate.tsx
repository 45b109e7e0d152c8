import { useEffect, useState } from "preact/hooks";
import { ask } from "../../api/client";
import { bytes, count } from "../../values/numbers";
import type { Panel } from "./panel";
import { expected, explainParameters, type PlanNode } from "./plan";

const WAIT_MS = 400;

interface Cost {
  series: number;
  samples: number;
  bytes: number;
}

/** What a query would read, asked while somebody types, before it is run. */
export function CostEstimate({ panel, typed }: { panel: Panel; typed: string }) {
  const [cost, setCost] = useState<Cost | undefined>();
  const { tab, endMs, rangeMs, resolution } = panel;
  useEffect(() => {
    setCost(undefined);
    if (!typed.trim()) return undefined;
    const ending = new AbortController();
    const timer = window.setTimeout(() => {
      const parameters = explainParameters({ ...panel, expression: typed }, tab === "graph", Date.now());
      ask<{ plan: PlanNode }>("/explain", parameters, { signal: ending.signal, post: true }).then(
        (answer) => setCost(expected(answer.data.plan)),
        // What is half typed is no query; the editor says where.
        () => undefined,
      );
    }, WAIT_MS);
    return () => {
      window.clearTimeout(timer);
      ending.abort();
    };
  }, [typed, tab, endMs, rangeMs, resolution]);
  return (
    <span class="muted cost" role="status">
      {cost
        ? `reads at most ${count(cost.series)} series, ${count(cost.samples)} samples, ${bytes(cost.bytes)}`
        : ""}
    </span>
  );
}
