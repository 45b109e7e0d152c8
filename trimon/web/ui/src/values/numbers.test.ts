import { expect, it } from "vitest";
import { bytes, parseNumber, percent, short } from "./numbers";

it("keeps four digits", () => {
  expect(short(1234)).toBe("1.234k");
  expect(short(-12_500_000)).toBe("-12.5M");
  expect(short(0.001)).toBe("0.001");
  expect(short(0)).toBe("0");
  expect(short(Number.POSITIVE_INFINITY)).toBe("+Inf");
  expect(short(1e-9)).toBe("1.00e-9");
});

it("counts bytes by 1024", () => {
  expect(bytes(0)).toBe("0 B");
  expect(bytes(1536)).toBe("1.5 KiB");
  expect(bytes(5 * 1024 ** 3)).toBe("5 GiB");
});

it("says when a share is small but not nothing", () => {
  expect(percent(0.5)).toBe("50 %");
  expect(percent(0.00001)).toBe("<0.1 %");
  expect(percent(0)).toBe("0 %");
});

it("reads numbers as Go writes them", () => {
  expect(["1e3", "+Inf", "-Inf", "0.5"].map(parseNumber)).toEqual([1000, Infinity, -Infinity, 0.5]);
  expect(parseNumber("NaN")).toBeNaN();
});
