import { expect, it } from "vitest";
import { matches, words } from "./search";

it("finds all words in any order and leaves out what is refused", () => {
  expect(matches(words("node DOWN"), "down on node-7")).toBe(true);
  expect(matches(words("node -down"), "down on node-7")).toBe(false);
  expect(matches(words(""), "anything")).toBe(true);
  expect(matches(words("-"), "a-b")).toBe(true);
});
