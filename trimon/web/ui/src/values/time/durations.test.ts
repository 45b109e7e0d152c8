import { describe, expect, it } from "vitest";
import { formatDuration, humanDuration, parseDuration, parseTypedDuration } from "./durations";

describe("parseDuration", () => {
  it("reads what PromQL reads, and plain seconds", () => {
    expect(parseDuration("1h30m")).toBe(5_400_000);
    expect(parseDuration("1d")).toBe(86_400_000);
    expect(parseDuration("100ms")).toBe(100);
    expect(parseDuration("15")).toBe(15_000);
    expect(parseDuration("0.5")).toBe(500);
  });
  it("refuses what is no duration", () => {
    for (const text of ["", " ", "h", "1m1h", "-5m", "5 m", "1h30"])
      expect(parseDuration(text)).toBeUndefined();
  });
});

describe("formatDuration", () => {
  it("gives back what was read", () => {
    for (const text of ["1h30m", "5m", "2d", "1w", "1y", "100ms", "1m30s"]) {
      expect(formatDuration(parseDuration(text) ?? -1)).toBe(text);
    }
    expect(formatDuration(8 * 86_400_000)).toBe("8d");
  });
});

describe("humanDuration", () => {
  it("has at most two units", () => {
    expect(humanDuration(0.25)).toBe("250\u00a0µs");
    expect(humanDuration(12.345)).toBe("12.3\u00a0ms");
    expect(humanDuration(1500)).toBe("1.5\u00a0s");
    expect(humanDuration(250_000)).toBe("4\u00a0min\u00a010\u00a0s");
    expect(humanDuration(3_600_000)).toBe("1\u00a0h");
    expect(humanDuration(183_600_000)).toBe("2\u00a0d\u00a03\u00a0h");
    expect(humanDuration(119_999)).toBe("2\u00a0min");
  });
});

describe("parseTypedDuration", () => {
  it("takes what people mean", () => {
    expect(["1.5h", "2h30", "1d 2h", "90m", "0.5s"].map(parseTypedDuration)).toEqual([
      5_400_000, 9_000_000, 93_600_000, 5_400_000, 500,
    ]);
  });
  it("refuses what means nothing, and what is longer than anybody asks", () => {
    for (const text of ["-5m", "abc", "0s", "99999y", "", "h"])
      expect(parseTypedDuration(text)).toBeUndefined();
  });
});
