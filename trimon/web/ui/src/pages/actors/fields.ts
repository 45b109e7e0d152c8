/** What an actor says of itself, as people read it: a name in the code ends in the unit of its value. */

import { bytes } from "../../values/numbers";
import { humanDuration } from "../../values/time/durations";

export interface ShownField {
  name: string;
  /** Set where it is a moment; 0 for "never". */
  timeMs?: number;
  text: string;
}

/** Less cannot be a moment since 1970 that a server of today has seen: it is how long something takes. */
const EPOCH_MS_MIN = 1e12;
const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000 };
const DIGITS = 6;

/** A field's name without its unit, and its value for people. */
export function shownField(name: string, value: unknown): ShownField {
  const [, stem = name, unit = ""] = /^(.+)_(ms|s|bytes)$/.exec(name) ?? [];
  const spaced = (stem || name).replaceAll("_", " ");
  if (typeof value === "number") {
    const factor = MS[unit];
    if (factor !== undefined) {
      const ms = value * factor;
      if (ms >= EPOCH_MS_MIN || (ms === 0 && /^(last|since)(_|$)/.test(stem) && unit === "ms"))
        return { name: spaced, timeMs: ms, text: "" };
      return { name: spaced, text: humanDuration(ms) };
    }
    if (unit === "bytes") return { name: spaced, text: bytes(value) };
    return {
      name: spaced,
      text: String(Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS))),
    };
  }
  const whole = name.replaceAll("_", " ");
  return { name: whole, text: typeof value === "string" ? value : JSON.stringify(value, null, 1) };
}
