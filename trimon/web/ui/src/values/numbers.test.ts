import { expect, it } from "vitest";
import { bytes, parseNumber, rounded, short, shorts } from "./numbers";

it("keeps four digits", () => {
  expect(short(1234)).toBe("1.234k");
  expect(short(-12_500_000)).toBe("-12.5M");
  expect(short(0.001)).toBe("0.001");
  expect(short(0)).toBe("0");
  expect(short(Number.POSITIVE_INFINITY)).toBe("+Inf");
  expect(short(1e-9)).toBe("1.00e-9");
});

it("takes as many digits as tell neighbours apart", () => {
  expect(shorts([1_796_000_010, 1_796_000_020, 1_796_000_030])).toEqual([
    "1.79600001G",
    "1.79600002G",
    "1.79600003G",
  ]);
  expect(shorts([741_400, 741_420])).toEqual(["741.4k", "741.42k"]);
  expect(shorts([1, 1, 2])).toEqual(["1", "1", "2"]);
  expect(shorts([1e-9, 1.0001e-9])).toEqual(["1.0000e-9", "1.0001e-9"]);
  expect(shorts([0.1 + 0.2, 0.3])).toHaveLength(2);
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

it("shortens what has more digits than anybody reads, and nothing else", () => {
  expect(rounded("0.29999999999999999")).toBe("0.3");
  expect(rounded("7.467796610169492")).toBe("7.467797");
  expect(rounded("-0.000123456789012")).toBe("-0.0001234568");
  expect(rounded("1795741462.0501")).toBe("1795741462");
  for (const text of ["1795741462050", "12345678901234567890", "NaN", "+Inf", "0.5", "1"]) {
    expect(rounded(text)).toBe(text);
  }
});
