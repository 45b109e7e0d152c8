/** A query that has ended: where its time went, and how to ask it again. */

import { formatDuration } from "../../values/time/durations";
import { formatTime, parseApiTime } from "../../values/time/times";

export interface QueryRun {
  time: string;
  start: string;
  end: string;
  step_s: number;
  took_s: number;
  queue_s: number;
  preparation_s: number;
  evaluation_s: number;
  sort_s: number;
  samples: number;
  error: string;
  /** Whether somebody stopped it. */
  canceled: boolean;
  httpRequest?: { clientIP?: string; method?: string; path?: string };
}

export interface PastQuery {
  query: string;
  /** Whether a page asked it by itself. */
  by_page: boolean;
  count: number;
  errors: number;
  canceled: number;
  total_s: number;
  slowest: QueryRun;
  last: QueryRun;
}

export interface Part {
  name: string;
  kind: "wait" | "prepare" | "compute" | "write";
  s: number;
}

/** The parts of a run's time; what no part has is the answer's text and other waiting. */
export function whereTimeWent(run: QueryRun): Part[] {
  const known = run.queue_s + run.preparation_s + run.evaluation_s + run.sort_s;
  const parts: Part[] = [
    { name: "waiting for a place", kind: "wait", s: run.queue_s },
    { name: "finding series", kind: "prepare", s: run.preparation_s },
    { name: "computing", kind: "compute", s: run.evaluation_s + run.sort_s },
    { name: "writing the answer, and waiting", kind: "write", s: Math.max(0, run.took_s - known) },
  ];
  return parts.filter((part) => part.s > 0);
}

/** A link that asks the same again, with Prometheus' own parameters. */
export function queryLink(query: string, run: QueryRun, tab = ""): string {
  const isRange = run.step_s > 0;
  const parameters = new URLSearchParams({ "g0.expr": query });
  parameters.set("g0.tab", tab || (isRange ? "graph" : "table"));
  const endMs = parseApiTime(run.end);
  if (isRange) {
    parameters.set("g0.range_input", formatDuration(endMs - parseApiTime(run.start)));
    parameters.set("g0.end_input", formatTime(endMs, false));
    parameters.set("g0.res_type", "fixed");
    parameters.set("g0.res_step", String(run.step_s));
  } else {
    parameters.set("g0.moment_input", formatTime(endMs, false));
  }
  return `/query?${parameters}`;
}
