/** How the server computes an expression: estimates of each step, and what each took. */

import { type Panel, timeParameter, timeRange } from "../panels/panel";

export interface PlanNode {
  operator: string;
  estimate?: { series: number; samples: number; bytes: number };
  actual?: { seconds: number; series: number; samples: number };
  children?: PlanNode[];
}

/** The parameters of /explain for what a panel asks. */
export function explainParameters(
  panel: Panel,
  isRange: boolean,
  nowMs: number,
): Record<string, string | number> {
  const times = timeRange(panel, nowMs);
  if (!isRange) return { query: panel.expression, ...timeParameter(panel) };
  return {
    query: panel.expression,
    start: times.startMs / 1000,
    end: times.endMs / 1000,
    step: times.stepMs / 1000,
  };
}

/** How many nodes a plan has, counted up to `most`. */
export function nodeCount(plan: PlanNode, most: number): number {
  const waiting = [plan];
  let count = 0;
  for (let node = waiting.pop(); node && count < most; node = waiting.pop()) {
    count++;
    waiting.push(...(node.children ?? []));
  }
  return count;
}

/** Time over all nodes; each has its own alone. */
export function totalSeconds(node: PlanNode): number {
  return (node.children ?? []).reduce((sum, child) => sum + totalSeconds(child), node.actual?.seconds ?? 0);
}

/** What all selectors together are expected to read. */
export function expected(node: PlanNode): { series: number; samples: number; bytes: number } {
  const sum = { series: 0, samples: 0, bytes: 0, ...node.estimate };
  for (const child of node.children ?? []) {
    const inside = expected(child);
    sum.series += inside.series;
    sum.samples += inside.samples;
    sum.bytes += inside.bytes;
  }
  return sum;
}
