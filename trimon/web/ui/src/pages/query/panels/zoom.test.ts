import { expect, it } from "vitest";
import { roundedEnd, roundedSpan } from "./zoom";

const at = (time: string) => Date.parse(`2026-11-27T${time}Z`);

it("rounds what was drawn by less than anybody sees", () => {
  expect(roundedSpan(at("00:10:23.487"), at("00:22:23.126"))).toEqual({
    endMs: at("00:22:20"),
    rangeMs: 12 * 60_000,
  });
  expect(roundedSpan(at("00:00:01.004"), at("06:00:02.3"))).toEqual({
    endMs: at("06:00:00"),
    rangeMs: 6 * 3_600_000,
  });
});

it("keeps a span that is short, and never makes one of nothing", () => {
  expect(roundedSpan(1000.4, 3000.2)).toEqual({ endMs: 3000, rangeMs: 2000 });
  expect(roundedSpan(1000.4, 1000.9).rangeMs).toBe(1000);
});

it("moves to a round end", () => {
  expect(roundedEnd(at("00:22:03.126"), 3_600_000)).toBe(at("00:22:00"));
});
