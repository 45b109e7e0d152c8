import { expect, it } from "vitest";
import { bytes, parseNumber, short } from "./numbers";

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

it("reads numbers as Go writes them", () => {
  expect(["1e3", "+Inf", "-Inf", "0.5"].map(parseNumber)).toEqual([1000, Infinity, -Infinity, 0.5]);
  expect(parseNumber("NaN")).toBeNaN();
});
