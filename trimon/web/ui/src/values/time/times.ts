/** Times for people, in UTC or in the browser's zone, with the zone always said somewhere near. */

function two(value: number): string {
  return String(value).padStart(2, "0");
}

interface Parts {
  date: string;
  time: string;
  ms: number;
}

function parts(timeMs: number, local: boolean): Parts {
  const at = new Date(timeMs);
  if (local) {
    return {
      date: `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
      time: `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`,
      ms: at.getMilliseconds(),
    };
  }
  return {
    date: `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`,
    time: `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`,
    ms: at.getUTCMilliseconds(),
  };
}

/** "2026-11-26 20:13:14", with milliseconds where there are some. */
export function formatTime(timeMs: number, local: boolean): string {
  if (!Number.isFinite(timeMs) || Math.abs(timeMs) > 8.64e15) return "–";
  const { date, time, ms } = parts(timeMs, local);
  return `${date} ${time}${ms ? `.${String(ms).padStart(3, "0")}` : ""}`;
}

/** The milliseconds of a time that the API wrote; 0 for "never" (Go's year one). */
export function parseApiTime(text: string | undefined): number {
  const timeMs = Date.parse(text ?? "");
  return Number.isNaN(timeMs) || timeMs < 0 ? 0 : timeMs;
}

/** The milliseconds of what a person typed: "2026-11-26 20:13", with or without seconds; undefined for what is none. */
export function parseTyped(text: string, local: boolean): number | undefined {
  const found =
    /^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?)?\s*Z?\s*$/.exec(
      text,
    );
  if (!found) return undefined;
  const numbers = found.slice(1, 7).map((part) => Number(part ?? 0));
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = numbers;
  const ms = Number((found[7] ?? "").padEnd(3, "0"));
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59)
    return undefined;
  return local
    ? new Date(year, month - 1, day, hour, minute, second, ms).getTime()
    : Date.UTC(year, month - 1, day, hour, minute, second, ms);
}
