import { describe, expect, it } from "vitest";
import { chartData, colour, positive, stacked, summary } from "./chartdata";

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
  it("adds what is there, and keeps gaps", () => {
    expect(
      stacked([
        [1, 2, null],
        [3, null, 4],
      ]),
    ).toEqual([
      [1, 2, null],
      [4, null, 4],
    ]);
    expect(stacked([])).toEqual([]);
  });
});

it("has no place below zero on a logarithmic axis", () => {
  expect(positive([[1, 0, -1, null]])).toEqual([[1, null, null, null]]);
});

it("sums a column up", () => {
  expect(summary([null, 2, 4, null])).toEqual({ min: 2, max: 4, average: 3, last: 4 });
  expect(summary([null])).toBeUndefined();
});

it("has other colours for neighbours", () => {
  expect(new Set(Array.from({ length: 100 }, (_, at) => colour(at, true))).size).toBe(100);
});
