import { expect, it } from "vitest";
import { filtered, labelCounts, narrowed } from "./labelcounts";

const SERIES = [
  { __name__: "up", job: "a", instance: "1" },
  { __name__: "up", job: "a", instance: "2" },
  { __name__: "up", job: "b", instance: "3" },
];

it("counts the series of each value, labels with most values first", () => {
  const found = labelCounts(SERIES);
  expect(found.map(({ label }) => label)).toEqual(["instance", "job"]);
  expect(found[1]?.values).toEqual([
    ["a", 2],
    ["b", 1],
  ]);
});

it("narrows by several labels at once", () => {
  expect(filtered(SERIES, { job: "a", instance: "2" })).toEqual([SERIES[1]]);
  expect(narrowed("up", { job: "a", "with dots": 'x"' })).toBe('up{job="a", "with dots"="x\\""}');
  expect(narrowed('{"with.dots"}', { job: "a" })).toBe('{"with.dots", job="a"}');
  expect(narrowed("up", {})).toBe("up");
});
