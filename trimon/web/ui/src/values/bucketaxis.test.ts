import { expect, it } from "vitest";
import { type Bounds, bucketAxis, spaced } from "./bucketaxis";

const bucket = (low: number, high: number, isZero = false): Bounds => ({ low, high, isZero });

it("leaves room where a bucket is missing", () => {
  const place = bucketAxis([bucket(1, 2), bucket(4, 8)], "exponential");
  expect([1, 2, 4, 8].map(place)).toEqual([0, 1 / 3, 2 / 3, 1]);
  const linear = bucketAxis([bucket(1, 2), bucket(4, 9)], "linear");
  expect([1, 2, 4, 9].map(linear)).toEqual([0, 1 / 8, 3 / 8, 1]);
});

it("gives the zero bucket a width, however narrow it is", () => {
  const place = bucketAxis([bucket(-1e-128, 1e-128, true), bucket(1, 2), bucket(2, 4)], "exponential");
  expect([-1e-128, 1e-128, 1, 2, 4].map(place)).toEqual([0, 1 / 3.5, 1.5 / 3.5, 2.5 / 3.5, 1]);
  expect(bucketAxis([bucket(-1e-128, 1e-128, true)], "exponential")(1e-128)).toBe(1);
});

it("is as long below zero as above", () => {
  const place = bucketAxis([bucket(-4, -2), bucket(2, 4)], "exponential");
  expect(place(0)).toBe(0.5);
  expect(place(-2) + place(2)).toBeCloseTo(1);
});

it("has room for buckets without an end", () => {
  const place = bucketAxis([bucket(-Infinity, 1), bucket(1, 2), bucket(2, Infinity)], "exponential");
  expect([-Infinity, 1, 2, Infinity].map(place)).toEqual([0, 1 / 3, 2 / 3, 1]);
  const only = bucketAxis([bucket(-Infinity, Infinity)], "linear");
  expect([-Infinity, Infinity].map(only)).toEqual([0, 1]);
});

it("labels what has room, the ends first", () => {
  expect(spaced([0, 0.05, 0.5, 0.95, 1], 0.1)).toEqual([0, 2, 4]);
  expect(spaced([0], 0.1)).toEqual([0]);
});
