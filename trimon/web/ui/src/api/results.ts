/** Results of queries, as the API has them. */

import type { Labels } from "../values/labels";

export type Bucket = [rule: number, low: string, high: string, count: string];

export interface HistogramValue {
  count: string;
  sum: string;
  buckets?: Bucket[];
}

export interface Series {
  metric: Labels;
  value?: [number, string];
  values?: [number, string][];
  histogram?: [number, HistogramValue];
  histograms?: [number, HistogramValue][];
}

export interface Statistics {
  timings: Record<string, number>;
  samples: { totalQueryableSamples: number; peakSamples: number; samplesRead?: number };
}

export type Result =
  | { resultType: "vector" | "matrix"; result: Series[]; stats?: Statistics }
  | { resultType: "scalar" | "string"; result: [number, string]; stats?: Statistics };

/** Whether a result is a list of series rather than one value. */
export function hasSeries(result: Result): result is Extract<Result, { result: Series[] }> {
  return result.resultType === "vector" || result.resultType === "matrix";
}

export interface ExemplarSeries {
  seriesLabels: Labels;
  exemplars: { labels: Labels; value: string; timestamp: number }[];
}
