import { expect, it } from "vitest";
import type { Bucket, Series } from "../../../api/results";
import { heatmap } from "./heatmapdata";

const TIMES = { startMs: 0, endMs: 10_000, stepMs: 10_000 };

it("takes classic buckets apart, and adds several histograms up", () => {
  const series: Series[] = [
    {
      metric: { le: "1", a: "x" },
      values: [
        [0, "2"],
        [10, "3"],
      ],
    },
    {
      metric: { le: "2", a: "x" },
      values: [
        [0, "5"],
        [10, "3"],
      ],
    },
    { metric: { le: "+Inf", a: "x" }, values: [[0, "6"]] },
    { metric: { le: "1", a: "y" }, values: [[0, "1"]] },
    { metric: { le: "2", a: "y" }, values: [[0, "1"]] },
  ];
  const map = heatmap(series, TIMES);
  expect(map?.rows.map((row) => row.high)).toEqual([1, 2, Number.POSITIVE_INFINITY]);
  expect(map?.cells[0]).toEqual([3, 3, 0]);
  expect(map?.cells[1]).toEqual([3, 0, 0]);
  expect(map?.most).toBe(3);
});

it("shares a coarse native bucket among the rows that it covers", () => {
  const fine: Bucket[] = [
    [0, "1", "2", "5"],
    [0, "2", "4", "3"],
  ];
  const coarse: Bucket[] = [[0, "1", "4", "6"]];
  const map = heatmap(
    [
      {
        metric: {},
        histograms: [
          [0, { count: "8", sum: "1", buckets: fine }],
          [10, { count: "6", sum: "1", buckets: coarse }],
        ],
      },
    ],
    TIMES,
  );
  expect(map?.rows).toEqual([
    { low: 1, high: 2 },
    { low: 2, high: 4 },
  ]);
  expect(map?.cells).toEqual([
    [5, 3],
    [3, 3],
  ]);
});

it("is none without histograms", () => {
  expect(heatmap([{ metric: { job: "a" }, values: [[0, "1"]] }], TIMES)).toBeUndefined();
});
