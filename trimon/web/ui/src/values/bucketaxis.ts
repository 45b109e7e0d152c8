/**
 * Where the bounds of histogram buckets stand on an axis, at their true distances: what lies between two buckets has room,
 * also where nothing was observed there.
 *
 *     exponential   −8 −4 −2 │zero│ 2 4 8      powers are as far from one another as they are from the next ones
 *     linear        by value
 *
 * The zero bucket is as narrow as a number can be, and gets a width of its own. Beyond the last bound, where a bucket
 * reaches to infinity, is one unit more.
 */

export type AxisKind = "exponential" | "linear";

export interface Bounds {
  low: number;
  high: number;
  /** Whether it is the one around zero. */
  isZero: boolean;
}

/** Half the zero bucket, of what lies between zero and the first other bound. */
const ZERO_SHARE = 0.5;
/** What a bucket without end is wide, of the rest of a linear axis. */
const ENDLESS_SHARE = 0.08;

/** The place of each bound between 0 and 1. */
export function bucketAxis(buckets: readonly Bounds[], kind: AxisKind): (bound: number) => number {
  const scaled = kind === "linear" ? (bound: number) => bound : exponential(buckets);
  const finite = buckets
    .flatMap(({ low, high }) => [low, high])
    .filter(Number.isFinite)
    .map(scaled);
  const first = Math.min(...(finite.length ? finite : [0]));
  const last = Math.max(...(finite.length ? finite : [1]));
  const unit = kind === "linear" ? ENDLESS_SHARE * (last - first) || 1 : 1;
  const from = buckets.some(({ low }) => low === Number.NEGATIVE_INFINITY) ? first - unit : first;
  const to = buckets.some(({ high }) => high === Number.POSITIVE_INFINITY) ? last + unit : last;
  const whole = to - from || 1;
  return (bound) => {
    if (!Number.isFinite(bound)) return bound > 0 ? 1 : 0;
    return (scaled(bound) - from) / whole;
  };
}

/** Linear up to the bound that is nearest to zero, logarithmic beyond it. */
function exponential(buckets: readonly Bounds[]): (bound: number) => number {
  const sizes = buckets
    .filter(({ isZero }) => !isZero)
    .flatMap(({ low, high }) => [Math.abs(low), Math.abs(high)])
    .filter((size) => size > 0 && Number.isFinite(size));
  const least = sizes.reduce((before, size) => Math.min(before, size), Number.POSITIVE_INFINITY);
  return (bound) => {
    const size = Math.abs(bound);
    if (size === 0) return 0;
    if (!Number.isFinite(least) || size < least)
      return Math.sign(bound) * Math.max(ZERO_SHARE, Number.isFinite(least) ? size / least : 0);
    return Math.sign(bound) * (1 + Math.log2(size / least));
  };
}

/** Of sorted places those that are so far apart that each has room for its label; the first and the last among them. */
export function spaced(places: readonly number[], distance: number): number[] {
  const last = places.length - 1;
  const found: number[] = [];
  places.forEach((place, at) => {
    const before = places[found[found.length - 1] ?? -1];
    const isFar = before === undefined || place - before >= distance;
    if (at === last || (isFar && (at === 0 || (places[last] ?? 1) - place >= distance))) found.push(at);
  });
  return found;
}
