/** Numbers for people. What the API says exactly is kept as text; these are for axes, lists and totals. */

const SI = ["", "k", "M", "G", "T", "P", "E"];
const DIGITS = 4;
// A double has no more.
const DIGITS_MAX = 16;
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A number as the API writes it: "1e3", "+Inf", "NaN". */
export function parseNumber(text: string): number {
  if (text === "+Inf" || text === "Inf") return Number.POSITIVE_INFINITY;
  return text === "-Inf" ? Number.NEGATIVE_INFINITY : Number(text);
}

/** 12345 as "12,345". */
export function count(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en-US") : String(value);
}

/** At most four digits, or as many as are asked for, and a letter: "1.234k", "12.5M", "0.001". */
export function short(value: number, digits = DIGITS): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e21) return value.toExponential(digits - 2).replace("e+", "e");
  const step = Math.min(SI.length - 1, Math.max(0, Math.floor(Math.log10(size) / 3)));
  const scaled = Number((value / 1000 ** step).toPrecision(digits));
  return `${scaled}${SI[step]}`;
}

/** Numbers that stand side by side, with as many digits as it takes to tell them apart. */
export function shorts(values: readonly number[]): string[] {
  const different = new Set(values).size;
  for (let digits = DIGITS; ; digits++) {
    const texts = values.map((value) => short(value, digits));
    if (digits === DIGITS_MAX || new Set(texts).size === different) return texts;
  }
}

const SHOWN_DIGITS = 7;

/** A number as the API wrote it, with no more digits after the point than people read; whole ones stay as they are. */
export function rounded(text: string): string {
  const value = parseNumber(text);
  if (text.length <= SHOWN_DIGITS + 1 || !Number.isFinite(value) || Number.isInteger(value)) return text;
  const whole = Math.abs(value) < 1 ? 0 : Math.floor(Math.log10(Math.abs(value))) + 1;
  return String(Number(value.toPrecision(Math.max(SHOWN_DIGITS, whole))));
}

/** "1.5 MiB". */
export function bytes(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const step = value < 1 ? 0 : Math.min(BINARY.length - 1, Math.floor(Math.log2(value) / 10));
  return `${Number((value / 1024 ** step).toPrecision(3))} ${BINARY[step]}`;
}
