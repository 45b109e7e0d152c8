/**
 * From the answer of a range query to columns for the chart.
 *
 * All series get the same times: those of the question, from its start in steps. A time that a series has no sample at is
 * null, which is drawn as a gap; so are NaN and the infinities, which have no place on an axis.
 *
 *     times    t0   t1   t2   t3
 *     a         1    2    –    4
 *     b         –    1    1    1
 *     stacked a 1    2    0    4     what is missing is nothing,
 *     stacked b 1    3    1    5     but where nobody is stays a gap
 */

import type { Series } from "../../api/results";
import { parseNumber } from "../../values/numbers";

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
    // A line has no place for buckets: a native histogram is drawn as its sum.
    for (const [timeS, histogram] of each.histograms ?? []) {
      const at = Math.round((timeS * 1000 - startMs) / stepMs);
      const value = parseNumber(histogram.sum);
      if (at >= 0 && at < length && Number.isFinite(value)) column[at] = value;
    }
    return column;
  });
  return { timesS, columns };
}

/** Each column with all before it added: what is missing adds nothing; a time without any sample is a gap of all. */
export function stacked(columns: readonly Column[]): Column[] {
  const sums: Column = new Array(columns[0]?.length ?? 0).fill(null);
  for (const column of columns)
    for (let at = 0; at < column.length; at++) if (column[at] !== null) sums[at] = 0;
  return columns.map((column) =>
    column.map((value, at) => {
      const before = sums[at];
      if (before === null || before === undefined) return null;
      const sum = clamped(before + (value ?? 0));
      sums[at] = sum;
      return sum;
    }),
  );
}

function clamped(value: number): number {
  return Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, value));
}

// Between these an axis finds its ticks; beyond them sums and differences lose what they are about, or overflow.
const PLAIN_MIN = 1e-9;
const PLAIN_MAX = 1e15;

/** What values are divided by before they are drawn, so that an axis of any size has ticks and does not overflow. */
export function drawnUnit(columns: readonly Column[]): number {
  let most = 0;
  for (const column of columns)
    for (const value of column) if (value !== null && Math.abs(value) > most) most = Math.abs(value);
  if (most === 0 || (most >= PLAIN_MIN && most < PLAIN_MAX)) return 1;
  return 10 ** Math.max(-300, Math.floor(Math.log10(most)));
}

export interface AxisWish {
  /** Where the axis is to begin, whatever the values are. */
  min: number | undefined;
  isStacked: boolean;
  /** What the values were divided by. */
  unit: number;
}

/** From where to where the vertical axis reaches. */
export function axisRange(low: number | null, high: number | null, wish: AxisWish): [number, number] {
  const least = wish.min === undefined ? undefined : wish.min / wish.unit;
  if (low === null || high === null)
    return least === undefined ? [0, 1] : [least, least + (Math.abs(least) || 1)];
  const bottom = wish.isStacked ? Math.min(0, low) : low;
  const space = (high - (least ?? bottom) || Math.abs(high) || 1) * 0.06;
  const from = least ?? bottom - (wish.isStacked && bottom === 0 ? 0 : Math.abs(space));
  const to = high + Math.abs(space);
  const end = Number.MAX_VALUE / wish.unit;
  // Where all values are below what was asked for the axis shows that, and none of them.
  return [Math.max(-end, from), Math.min(end, to > from ? to : from + (Math.abs(from) || 1))];
}

/** How many values a logarithmic axis has no place for. */
export function belowLogarithm(columns: readonly Column[]): number {
  let found = 0;
  for (const column of columns) for (const value of column) if (value !== null && value <= 0) found++;
  return found;
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
  return count ? { min, max, average: average(column, sum, count), last } : undefined;
}

/** The sum of large numbers may be beyond what a number can be, when their average is not. */
function average(column: Column, sum: number, count: number): number {
  if (Number.isFinite(sum)) return sum / count;
  return clamped(column.reduce<number>((whole, value) => whole + (value ?? 0) / count, 0));
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
