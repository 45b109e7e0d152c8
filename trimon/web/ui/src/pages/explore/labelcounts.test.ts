import { expect, it } from "vitest";
import { filtered, isValid, labelCounts, type Matcher, narrowed, type Operator } from "./labelcounts";

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

const is = (label: string, value: string, operator: Operator = "="): Matcher => ({ label, operator, value });

it("narrows by several labels at once", () => {
  expect(filtered(SERIES, [is("job", "a"), is("instance", "2")])).toEqual([SERIES[1]]);
  expect(narrowed("up", [is("job", "a"), is("with dots", 'x"')])).toBe('up{job="a", "with dots"="x\\""}');
  expect(narrowed('{"with.dots"}', [is("job", "a")])).toBe('{"with.dots", job="a"}');
  expect(narrowed("up", [])).toBe("up");
});

it("has every operator of a selector, and a label that is not there is empty", () => {
  expect(filtered(SERIES, [is("job", "a", "!=")])).toEqual([SERIES[2]]);
  expect(filtered(SERIES, [is("instance", "1|3", "=~")])).toEqual([SERIES[0], SERIES[2]]);
  expect(filtered(SERIES, [is("instance", "[12]", "!~")])).toEqual([SERIES[2]]);
  expect(filtered(SERIES, [is("zone", "")])).toEqual(SERIES);
  expect(isValid(is("job", "(", "=~"))).toBe(false);
  expect(isValid(is("job", "("))).toBe(true);
  expect(narrowed("up", [is("job", "a.*", "!~")])).toBe('up{job!~"a.*"}');
});
