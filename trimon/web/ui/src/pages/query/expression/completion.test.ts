import { describe, expect, it } from "vitest";
import { fitting, isAfterEnd, onlyMeant } from "./completion";

const OPTIONS = [
  { label: "up" },
  { label: "upper_total" },
  { label: "unless" },
  { label: "up == 0", detail: "asked before" },
];

describe("onlyMeant", () => {
  it("is the one completion that begins so", () => {
    expect(onlyMeant("sum(upp", OPTIONS)).toBe(1);
    expect(onlyMeant("up un", OPTIONS)).toBe(2);
  });

  it("is none for what is whole, what may be several, and what is no name", () => {
    expect(onlyMeant("up", OPTIONS)).toBe(-1);
    expect(onlyMeant("u", OPTIONS)).toBe(-1);
    expect(onlyMeant("up ", OPTIONS)).toBe(-1);
    expect(onlyMeant("sum(up)", [{ label: "-" }])).toBe(-1);
    expect(onlyMeant("x[5", [{ label: "5m" }])).toBe(-1);
    expect(onlyMeant("up", [{ label: "up" }])).toBe(-1);
  });
});

it("offers nothing by itself where something was closed", () => {
  expect(["sum(up)", "x[5m]", "up{}"].map(isAfterEnd)).toEqual([true, true, true]);
  expect(["sum(", "up", "up ", 'a{b="'].map(isAfterEnd)).toEqual([false, false, false, false]);
});

describe("fitting", () => {
  const found = { options: [] };

  it("keeps what replaces a word", () => {
    expect(fitting({ ...found, from: 4 }, "sum(u", 5)).toEqual({ ...found, from: 4, to: 5 });
  });

  it("drops what would replace brackets, or lies elsewhere", () => {
    const text = "sum(up) by (job)";
    expect(fitting({ ...found, from: 12, to: 15 }, text, 16)).toBeNull();
    expect(fitting({ ...found, from: 16, to: 15 }, text, 15)).toBeNull();
    expect(fitting({ ...found, from: 2, to: 40 }, "up up", 3)).toBeNull();
  });
});
