/**
 * From the answer of a range query to columns for the chart.
 *
 * All series get the same times: those of the question, from its start in steps. A time that a series has no sample at is
 * null, which is drawn as a gap; so are NaN and the infinities, which have no place on an axis.
 *
 *     times    t0   t1   t2   t3
 *     a         1    2    –    4
 *     b         –    1    1    1
 *     stacked   1    3    1    5     b above a, where b is
 */

import type { Series } from "./results";

export type Column = (number | null)[];

export interface ChartData {
  timesS: number[];
  /** One column a series, in their order. */
  columns: Column[];
}

export interface Summary {
  min: number;
  max: number;
  average: number;
  last: number;
}

/** What the chart is drawn of. */
export function chartData(
  series: readonly Series[],
  startMs: number,
  endMs: number,
  stepMs: number,
): ChartData {
  const length = Math.floor((endMs - startMs) / stepMs) + 1;
  const timesS = Array.from({ length }, (_, at) => (startMs + at * stepMs) / 1000);
  const columns = series.map((each) => {
    const column: Column = new Array(length).fill(null);
    for (const [timeS, text] of each.values ?? []) {
      const at = Math.round((timeS * 1000 - startMs) / stepMs);
      const value = Number(text);
      if (at >= 0 && at < length && Number.isFinite(value)) column[at] = value;
    }
    return column;
  });
  return { timesS, columns };
}

/** Each column with all before it added: what is missing adds nothing, and is still a gap of its own. */
export function stacked(columns: readonly Column[]): Column[] {
  const sums: number[] = new Array(columns[0]?.length ?? 0).fill(0);
  return columns.map((column) =>
    column.map((value, at) => {
      if (value === null) return null;
      const sum = (sums[at] ?? 0) + value;
      sums[at] = sum;
      return sum;
    }),
  );
}

/** For a logarithmic axis: what is not above zero is a gap. */
export function positive(columns: readonly Column[]): Column[] {
  return columns.map((column) => column.map((value) => (value !== null && value > 0 ? value : null)));
}

/** The smallest, largest, average and last value of a column; undefined where there is none. */
export function summary(column: Column): Summary | undefined {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let count = 0;
  let last = 0;
  for (const value of column) {
    if (value === null) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    last = value;
    count++;
  }
  return count ? { min, max, average: sum / count, last } : undefined;
}

// Of the first ones none is like another; after them hues follow a golden angle away from each other.
const FIRST_HUES = [188, 28, 262, 130, 340, 52, 216, 4, 300, 92, 162, 240];
const GOLDEN_ANGLE = 137.508;

/** Colours that neighbours are told apart by. */
export function colour(at: number, isDark: boolean): string {
  const hue = FIRST_HUES[at] ?? (14 + at * GOLDEN_ANGLE) % 360;
  const ring = Math.floor(at / FIRST_HUES.length) % 3;
  const saturation = isDark ? 62 - ring * 12 : 68 - ring * 14;
  const lightness = isDark ? 64 - ring * 8 : 38 + ring * 9;
  return `hsl(${hue.toFixed(1)} ${saturation}% ${lightness}%)`;
}
