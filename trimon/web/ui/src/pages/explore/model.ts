/** Metrics with what is known of each: type, help, unit, and how many series the head has of it. */

import { quoted } from "../../values/labels";

export interface Metadata {
  type: string;
  help: string;
  unit: string;
}

export interface Metric {
  name: string;
  type: string;
  help: string;
  unit: string;
  /** Undefined where it is not among the largest, or has none in the head. */
  series: number | undefined;
}

const SUFFIXES = ["_bucket", "_sum", "_count", "_total", "_created", "_info"];

/** What targets say of a metric; parts of histograms and counters are said something of under their family's name. */
export function metadataOf(name: string, known: Readonly<Record<string, Metadata[]>>): Metadata | undefined {
  const own = known[name]?.[0];
  if (own) return own;
  const suffix = SUFFIXES.find((each) => name.endsWith(each));
  return suffix ? known[name.slice(0, -suffix.length)]?.[0] : undefined;
}

export function metrics(
  names: readonly string[],
  known: Readonly<Record<string, Metadata[]>>,
  counts: ReadonlyMap<string, number>,
): Metric[] {
  return names.map((name) => {
    const found = metadataOf(name, known);
    return {
      name,
      type: found?.type ?? "unknown",
      help: found?.help ?? "",
      unit: found?.unit ?? "",
      series: counts.get(name),
    };
  });
}

/** A metric as a selector. */
export function selectorOf(name: string): string {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : `{${quoted(name)}}`;
}

/** The expression that shows a metric best: a counter's rate, a histogram's quantile, else the metric. */
export function goodQuestion(metric: Metric, selector: string): string {
  if (metric.name.endsWith("_bucket")) return `histogram_quantile(0.99, sum by (le) (rate(${selector}[5m])))`;
  if (metric.type === "histogram" && !/_(sum|count)$/.test(metric.name)) {
    return `histogram_quantile(0.99, sum(rate(${selector}[5m])))`;
  }
  if (metric.type === "counter" || /_(total|sum|count)$/.test(metric.name)) return `rate(${selector}[5m])`;
  return selector;
}
