/** Durations as PromQL has them: "1h30m", "5m", "100ms". */

const UNITS_MS: readonly (readonly [string, number])[] = [
  ["y", 365 * 86_400_000],
  ["w", 7 * 86_400_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
];
const WHOLE = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** The milliseconds of a duration; undefined for what is none. A plain number is seconds. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (!trimmed) return undefined;
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Math.round(Number(trimmed) * 1000);
  const found = WHOLE.exec(trimmed);
  if (!found) return undefined;
  return UNITS_MS.reduce((sum, [, unitMs], at) => sum + Number(found[at + 1] ?? 0) * unitMs, 0);
}

const PART = /(\d+(?:\.\d+)?)(ms|[ywdhms])/g;
/** Longer than a century nobody asks. */
export const TYPED_MS_MAX = 100 * 365 * 86_400_000;

/** What a person typed as a duration: "1.5h", "2h 30m" and "1h30" are meant, too. */
export function parseTypedDuration(text: string): number | undefined {
  const compact = text.replaceAll(/\s+/g, "").replace(/h(\d+)$/, "h$1m");
  const plain = parseDuration(compact);
  if (plain !== undefined) return plain > 0 && plain <= TYPED_MS_MAX ? plain : undefined;
  if (compact.replaceAll(PART, "") !== "") return undefined;
  const sum = [...compact.matchAll(PART)].reduce((whole, [, amount, unit]) => {
    const unitMs = UNITS_MS.find(([name]) => name === unit)?.[1] ?? 0;
    return whole + Number(amount) * unitMs;
  }, 0);
  return sum > 0 && sum <= TYPED_MS_MAX ? Math.round(sum) : undefined;
}

/** A duration as PromQL writes it; weeks and years only where nothing is left over, as Prometheus does. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return "0s";
  if (!Number.isFinite(durationMs)) return "–";
  let left = Math.abs(Math.round(durationMs));
  let out = durationMs < 0 ? "-" : "";
  for (const [unit, unitMs] of UNITS_MS) {
    const isExactOnly = unit === "y" || unit === "w";
    if (left < unitMs || (isExactOnly && left % unitMs !== 0)) continue;
    out += `${Math.floor(left / unitMs)}${unit}`;
    left %= unitMs;
  }
  return out;
}

/** A duration for people, with two units at most: "3.2 ms", "1.5 s", "4 min 10 s", "2 d 3 h"; its spaces break no line. */
export function humanDuration(durationMs: number): string {
  if (!Number.isFinite(durationMs)) return "–";
  const size = Math.abs(durationMs);
  const sign = durationMs < 0 ? "−" : "";
  if (size === 0) return "0\u00a0s";
  if (size < 1) return `${sign}${trimmed(size * 1000)}\u00a0µs`;
  if (size < 1000) return `${sign}${trimmed(size)}\u00a0ms`;
  if (size < 60_000) return `${sign}${trimmed(size / 1000)}\u00a0s`;
  const steps: readonly (readonly [number, string, number, string])[] = [
    [3_600_000, "min", 60_000, "s"],
    [86_400_000, "h", 3_600_000, "min"],
    [Number.POSITIVE_INFINITY, "d", 86_400_000, "h"],
  ];
  for (const [below, large, largeMs, small] of steps) {
    if (size >= below) continue;
    const smallMs = small === "s" ? 1000 : small === "min" ? 60_000 : 3_600_000;
    const total = Math.round(size / smallMs);
    const perLarge = largeMs / smallMs;
    const rest = total % perLarge;
    return `${sign}${Math.floor(total / perLarge)}\u00a0${large}${rest ? `\u00a0${rest}\u00a0${small}` : ""}`;
  }
  return "–";
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)));
}
