import { expect, it } from "vitest";
import { timeLeftMs } from "./starting";

it("guesses the rest by what was read since it was looked at", () => {
  const first = { atMs: 10_000, done: 4 };
  expect(timeLeftMs(first, first, 10)).toBeUndefined();
  expect(timeLeftMs(first, { atMs: 13_000, done: 7 }, 10)).toBe(3000);
});
