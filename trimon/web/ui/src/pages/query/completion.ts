import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { prefix } from "../../app/server";
import { queryHistory } from "./history";
import { isOn } from "./settings";

const METRICS_MAX = 20_000;

/** PromQL for the editor: grammar, completion from this server, and errors that need no server. */
export function promql(): PromQLExtension {
  return new PromQLExtension().activateLinter(isOn("linter")).setComplete({
    remote: {
      url: prefix,
      fetchFn: (input, init) => fetch(input, { ...init, credentials: "same-origin" }),
      httpMethod: "GET",
      cache: { maxAge: 5 * 60 * 1000 },
    },
    maxMetricsMetadata: METRICS_MAX,
  });
}

/** What was asked before, as completions of the whole text. */
export function pastExpressions(text: string): { label: string; detail: string }[] {
  if (!isOn("history")) return [];
  const low = text.toLowerCase();
  return queryHistory.value
    .filter((each) => each !== text && each.toLowerCase().includes(low))
    .slice(0, 5)
    .map((label) => ({ label, detail: "asked before" }));
}
