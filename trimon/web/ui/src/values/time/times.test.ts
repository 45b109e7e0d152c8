import { expect, it } from "vitest";
import { formatTime, parseApiTime, parseTyped } from "./times";

it("gives back in UTC what was typed", () => {
  for (const text of ["2026-11-26 20:13:14", "1999-01-01 00:00:00", "2026-11-26 20:13:14.250"]) {
    expect(formatTime(parseTyped(text, false) ?? 0, false)).toBe(text);
  }
});

it("refuses days and hours that are none", () => {
  for (const text of ["2026-13-01", "2026-01-01 24:00", "yesterday", ""])
    expect(parseTyped(text, false)).toBeUndefined();
});

it("knows that Go's zero time is never", () => {
  expect(parseApiTime("0001-01-01T00:00:00Z")).toBe(0);
  expect(parseApiTime("2026-11-26T20:13:14Z")).toBe(Date.UTC(2026, 10, 26, 20, 13, 14));
});
