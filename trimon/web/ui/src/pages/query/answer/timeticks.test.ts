import { expect, it } from "vitest";
import { timeTicks } from "./timeticks";

const AT = Date.UTC(2026, 10, 27, 1, 7, 43) / 1000;

it("stands at round times, as far from one another", () => {
  const texts = timeTicks(AT, AT + 3600, 8, false).map((tick) => tick.text);
  expect(texts).toEqual(["11-27 01:10", "01:20", "01:30", "01:40", "01:50", "02:00"]);
});

it("has seconds where the range is short", () => {
  const texts = timeTicks(AT, AT + 30, 4, false).map((tick) => tick.text);
  expect(texts).toEqual(["11-27 01:07:50", "01:08:00", "01:08:10"]);
});

it("says the day where one begins, and days alone on long ranges", () => {
  const day = Date.UTC(2026, 10, 26, 20) / 1000;
  expect(timeTicks(day, day + 8 * 3600, 3, false).map((tick) => tick.text)).toEqual([
    "11-26 21:00",
    "11-27 00:00",
    "03:00",
  ]);
  expect(
    timeTicks(day, day + 90 * 86_400, 4, false).every((tick) => /^\d{4}-\d\d-\d\d$/.test(tick.text)),
  ).toBe(true);
});

it("has one where no round time is inside", () => {
  expect(timeTicks(AT, AT, 4, false)).toHaveLength(1);
});
