import { expect, it } from "vitest";
import { furthest } from "./closest";

it("says when a line was furthest, and since when it has values", () => {
  const line = [
    [60, "1"],
    [120, "NaN"],
    [180, "1e3"],
    [240, "-Inf"],
  ] as const;
  expect(furthest(line, true)).toEqual({ firstMs: 60_000, atMs: 180_000, value: "1e3" });
  expect(furthest(line, false)).toEqual({ firstMs: 60_000, atMs: 240_000, value: "-Inf" });
  expect(furthest([], true)).toBeUndefined();
});
