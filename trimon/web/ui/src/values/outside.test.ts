import { expect, it } from "vitest";
import { cut, visible } from "./outside";

it("writes out what turns the direction of a text", () => {
  expect(visible("a\u202eb\u2066c\u200f\u061cd")).toBe("a\\u202eb\\u2066c\\u200f\\u061cd");
  expect(visible("שלום café 日本")).toBe("שלום café 日本");
});

it("cuts no character in half", () => {
  expect(cut("😀".repeat(1000)).endsWith("😀")).toBe(true);
  expect(cut(`a${"😀".repeat(1000)}`).endsWith("😀")).toBe(true);
});
