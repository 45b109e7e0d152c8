/**
 * From histograms over time to the cells of a heatmap: columns of time, rows of value ranges, and how many fell in each.
 *
 * Classic histograms are series with `le`, each of which counts all at or below it: a row is the difference to the one
 * below. Native ones have buckets of any bounds, which may become finer or coarser in the meantime: the rows lie between
 * all bounds that occur, and a bucket that covers several rows is shared out evenly.
 *
 *     bounds      1     2     4           rows  (1,2] (2,4]
 *     t0    ├──5──┼──3──┤                       5     3
 *     t1    ├─────6─────┤    (coarser)          3     3
 */

import type { Bucket, Series } from "../../../api/results";
import { type Bounds, bucketAxis } from "../../../values/bucketaxis";
import { parseNumber } from "../../../values/numbers";

export interface Row {
  low: number;
  high: number;
}

export interface Heatmap {
  timesS: number[];
  /** From below upwards. */
  rows: Row[];
  /** Where the rows begin and end, from 0 at the bottom to 1: one more than there are rows. */
  edges: number[];
  /** Of each time its rows. */
  cells: number[][];
  most: number;
  /** How many series are no histograms, and not in it. */
  leftOut: number;
}

export interface Times {
  startMs: number;
  endMs: number;
  stepMs: number;
}

const ROWS_MAX = 400;

function empty(times: Times, rows: Row[], edges: number[]): Heatmap {
  const length = Math.floor((times.endMs - times.startMs) / times.stepMs) + 1;
  return {
    timesS: Array.from({ length }, (_, at) => (times.startMs + at * times.stepMs) / 1000),
    rows,
    edges,
    cells: Array.from({ length }, () => new Array<number>(rows.length).fill(0)),
    most: 0,
    leftOut: 0,
  };
}

function finished(map: Heatmap): Heatmap {
  let most = 0;
  for (const column of map.cells) for (const cell of column) if (cell > most) most = cell;
  map.most = most;
  return map;
}

function placeOf(times: Times, timeS: number): number {
  return Math.round((timeS * 1000 - times.startMs) / times.stepMs);
}

function classic(series: readonly Series[], times: Times): Heatmap {
  const bounds = [...new Set(series.map((each) => parseNumber(each.metric.le ?? "NaN")))].filter(
    (le) => !Number.isNaN(le),
  );
  bounds.sort((a, b) => a - b);
  const map = empty(
    times,
    bounds.map((high, at) => ({ low: bounds[at - 1] ?? Number.NEGATIVE_INFINITY, high })),
    // Whoever chose these bounds wants to see each of them.
    [0, ...bounds.map((_, at) => (at + 1) / bounds.length)],
  );
  const sums = map.cells.map(() => new Array<number>(bounds.length).fill(0));
  for (const each of series) {
    const row = bounds.indexOf(parseNumber(each.metric.le ?? "NaN"));
    for (const [timeS, text] of each.values ?? []) {
      const column = sums[placeOf(times, timeS)];
      const value = parseNumber(text);
      if (column && row >= 0 && Number.isFinite(value)) column[row] = (column[row] ?? 0) + value;
    }
  }
  sums.forEach((column, at) => {
    const cells = map.cells[at];
    column.forEach((value, row) => {
      if (cells) cells[row] = Math.max(0, value - (column[row - 1] ?? 0));
    });
  });
  return finished(map);
}

function native(series: readonly Series[], times: Times): Heatmap {
  const edges = new Set<number>();
  const buckets = new Map<string, Bounds>();
  for (const each of series) {
    for (const [, histogram] of each.histograms ?? []) {
      for (const bucket of histogram.buckets ?? []) {
        const bounds = boundsOf(bucket);
        edges.add(bounds.low).add(bounds.high);
        buckets.set(`${bucket[1]} ${bucket[2]}`, bounds);
      }
    }
  }
  let bounds = [...edges].sort((a, b) => a - b);
  if (bounds.length > ROWS_MAX) {
    const every = Math.ceil(bounds.length / ROWS_MAX);
    bounds = bounds.filter((_, at) => at % every === 0 || at === bounds.length - 1);
  }
  const map = empty(
    times,
    bounds.slice(1).map((high, at) => ({ low: bounds[at] ?? 0, high })),
    bounds.map(bucketAxis([...buckets.values()], "exponential")),
  );
  const rowFrom = (value: number) => {
    let low = 0;
    let high = bounds.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((bounds[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    return (bounds[low] ?? 0) > value ? Math.max(0, low - 1) : low;
  };
  for (const each of series) {
    for (const [timeS, histogram] of each.histograms ?? []) {
      const column = map.cells[placeOf(times, timeS)];
      if (!column) continue;
      for (const [, low, high, text] of histogram.buckets ?? []) {
        const first = rowFrom(parseNumber(low));
        const after = Math.max(first + 1, rowFrom(parseNumber(high)));
        const share = parseNumber(text) / (after - first);
        for (let row = first; row < after && row < column.length; row++)
          column[row] = (column[row] ?? 0) + share;
      }
    }
  }
  return finished(map);
}

/** The bounds of a bucket; the rule of the zero bucket is that both are inside. */
export function boundsOf([rule, low, high]: Bucket): Bounds {
  return { low: parseNumber(low), high: parseNumber(high), isZero: rule === 3 };
}

/** The heatmap of a result; undefined where there are no histograms in it. Several histograms are added up. */
export function heatmap(series: readonly Series[], times: Times): Heatmap | undefined {
  const natives = series.filter((each) => each.histograms?.length);
  const classics = natives.length ? [] : series.filter((each) => each.metric.le !== undefined);
  const used = natives.length || classics.length;
  if (!used) return undefined;
  const map = natives.length ? native(natives, times) : classic(classics, times);
  map.leftOut = series.length - used;
  return map;
}
