import { expect, it } from "vitest";
import { difference } from "./relabelsteps";

it("tells what a step set and what it took away", () => {
  expect(difference({ a: "1", b: "2", c: "3" }, { a: "1", b: "9", d: "4" })).toEqual({
    set: { b: "9", d: "4" },
    gone: ["c"],
  });
});
