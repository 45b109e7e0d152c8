import { expect, it } from "vitest";
import { offsetOf, placeOf, sentenceOf } from "./errorplace";

it("finds the place in what the server says", () => {
  expect(placeOf('invalid parameter "query": 1:15: parse error: unexpected character')).toEqual({
    line: 1,
    column: 15,
  });
  expect(placeOf("query timed out in expression evaluation")).toBeUndefined();
});

it("counts lines and characters from one, and stays inside the text", () => {
  expect(offsetOf("sum(\n  up\n)", { line: 2, column: 3 })).toBe(7);
  expect(offsetOf("up", { line: 1, column: 99 })).toBe(2);
  expect(offsetOf("up", { line: 5, column: 1 })).toBe(2);
  expect(offsetOf("a\nb", { line: 1, column: 9 })).toBe(1);
});

it("says what is wrong without the name of the parameter", () => {
  expect(sentenceOf('invalid parameter "query": 1:8: parse error: x')).toBe("1:8: parse error: x");
  expect(sentenceOf("1:8: parse error")).toBe("1:8: parse error");
});
