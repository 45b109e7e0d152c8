import { describe, expect, it } from "vitest";
import {
  axisRange,
  belowLogarithm,
  chartData,
  colour,
  drawnUnit,
  positive,
  stacked,
  summary,
} from "./chartdata";

describe("chartData", () => {
  it("puts every sample at its time, and leaves gaps where there is none", () => {
    const { timesS, columns } = chartData(
      [
        {
          metric: {},
          values: [
            [10, "1"],
            [30, "NaN"],
            [40, "+Inf"],
            [50, "2.5"],
          ],
        },
        { metric: {}, values: [[20, "-1"]] },
      ],
      10_000,
      50_000,
      10_000,
    );
    expect(timesS).toEqual([10, 20, 30, 40, 50]);
    expect(columns).toEqual([
      [1, null, null, null, 2.5],
      [null, -1, null, null, null],
    ]);
  });

  it("keeps to steps that are no whole seconds", () => {
    const values: [number, string][] = [
      [1.1, "1"],
      [1.35, "2"],
      [1.6, "3"],
    ];
    expect(chartData([{ metric: {}, values }], 1100, 1600, 250).columns[0]).toEqual([1, 2, 3]);
  });
});

describe("stacked", () => {
  it("takes what is missing for nothing, and keeps gaps that all have", () => {
    expect(
      stacked([
        [1, 2, null, null],
        [3, null, 4, null],
      ]),
    ).toEqual([
      [1, 2, 0, null],
      [4, 2, 4, null],
    ]);
    expect(stacked([])).toEqual([]);
  });

  it("does not grow beyond what a number can be", () => {
    expect(stacked([[Number.MAX_VALUE], [Number.MAX_VALUE]])).toEqual([
      [Number.MAX_VALUE],
      [Number.MAX_VALUE],
    ]);
  });
});

it("draws a native histogram as its sum", () => {
  const histograms: [number, { count: string; sum: string }][] = [[10, { count: "2", sum: "7.5" }]];
  expect(chartData([{ metric: {}, histograms }], 0, 10_000, 10_000).columns).toEqual([[null, 7.5]]);
});

describe("axisRange", () => {
  const wish = { min: undefined, isStacked: false, unit: 1 };
  it("begins where it was asked to, above and below the values", () => {
    expect(axisRange(10, 100, { ...wish, min: 40 })[0]).toBe(40);
    expect(axisRange(-100, -1, { ...wish, min: 0 })).toEqual([0, 1]);
    expect(axisRange(10, 100, { ...wish, min: -100 })[0]).toBe(-100);
    expect(axisRange(10, 100, { ...wish, min: 1e3 })).toEqual([1000, 2000]);
  });

  it("has all of a stack below zero on it", () => {
    expect(axisRange(-10, -5, { ...wish, isStacked: true })[0]).toBeLessThanOrEqual(-10);
    expect(axisRange(1, 5, { ...wish, isStacked: true })[0]).toBe(0);
  });

  it("does not overflow", () => {
    const columns = [[-Number.MAX_VALUE, Number.MAX_VALUE]];
    const unit = drawnUnit(columns);
    const [from, to] = axisRange(-Number.MAX_VALUE / unit, Number.MAX_VALUE / unit, { ...wish, unit });
    expect(Number.isFinite(to - from)).toBe(true);
    expect(Number.isFinite(to * unit)).toBe(true);
    expect(drawnUnit([[5e-324]])).toBeGreaterThan(0);
    expect(drawnUnit([[1.796e9, -3]])).toBe(1);
  });
});

describe("summary", () => {
  it("has an average where the sum is beyond what a number can be", () => {
    expect(summary([1.797e308, 1.797e308])?.average).toBeCloseTo(1.797e308, -300);
  });
});

it("has no place below zero on a logarithmic axis", () => {
  expect(positive([[1, 0, -1, null]])).toEqual([[1, null, null, null]]);
  expect(belowLogarithm([[1, 0, -1, null]])).toBe(2);
});

it("sums a column up", () => {
  expect(summary([null, 2, 4, null])).toEqual({ min: 2, max: 4, average: 3, last: 4 });
  expect(summary([null])).toBeUndefined();
});

it("has other colours for neighbours", () => {
  expect(new Set(Array.from({ length: 100 }, (_, at) => colour(at, true))).size).toBe(100);
});
