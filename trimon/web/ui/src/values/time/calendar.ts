/** Days of a calendar as "2026-11-26": civil days, which no zone moves. */

const DAY_MS = 86_400_000;

function dayMs(day: string): number {
  return Date.parse(`${day}T00:00:00Z`);
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

export function shiftDay(day: string, days: number): string {
  return dayOf(dayMs(day) + days * DAY_MS);
}

/** The same day of another month, or its last one. */
export function shiftMonth(day: string, months: number): string {
  const at = new Date(dayMs(day));
  const first = Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months, 1);
  const length = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months + 1, 0)).getUTCDate();
  return dayOf(first + (Math.min(at.getUTCDate(), length) - 1) * DAY_MS);
}

/** The weeks that a day's month touches, Mondays first. */
export function weeksOf(day: string): string[][] {
  const first = `${day.slice(0, 8)}01`;
  const back = (new Date(dayMs(first)).getUTCDay() + 6) % 7;
  const weeks: string[][] = [];
  for (
    let monday = shiftDay(first, -back);
    monday.slice(0, 7) <= day.slice(0, 7);
    monday = shiftDay(monday, 7)
  ) {
    weeks.push(Array.from({ length: 7 }, (_, at) => shiftDay(monday, at)));
  }
  return weeks;
}
