import { expect, it } from "vitest";
import { decodePanels } from "../pages/query/panels/url";
import { own } from "./own";

const BORN = ["__proto__", "constructor", "toString", "hasOwnProperty"];

it("has what was put in, and nothing that every object has", () => {
  expect(own({ a: 1 }, "a")).toBe(1);
  expect(own({ a: 1 }, undefined)).toBeUndefined();
  for (const name of BORN) expect(own({ a: 1 }, name)).toBeUndefined();
});

it("is what tabs of links are looked up with", () => {
  for (const name of BORN)
    expect(decodePanels(new URLSearchParams({ "g0.expr": "up", "g0.tab": name }))[0]?.tab).toBe("table");
});
