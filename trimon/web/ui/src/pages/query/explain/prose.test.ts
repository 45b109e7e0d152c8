import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { functionText } from "./functions";
import { prose } from "./prose";
import type { Binary, Selector } from "./syntax";

const SELECTOR: Selector = {
  type: "vectorSelector",
  name: "up",
  matchers: [
    { name: "__name__", type: "=", value: "up" },
    { name: "job", type: "!=", value: "" },
    { name: "env", type: "=~", value: "a|b" },
  ],
  offset: -60_000,
  offsetExpr: null,
  timestamp: null,
  startOrEnd: null,
  anchored: false,
  smoothed: false,
};

it("says what a selector finds, and when it looks", () => {
  const said = prose(SELECTOR).texts.join(" ");
  expect(said).toContain(
    'all series of up of which there is a label job, and the label env matches all of the regular expression "a|b"',
  );
  expect(said).toContain("It looks 1m into the future from there.");
});

it("says how both sides of an operator find each other", () => {
  const node: Binary = {
    type: "binaryExpr",
    op: ">",
    bool: false,
    lhs: SELECTOR,
    rhs: SELECTOR,
    matching: { card: "many-to-one", labels: ["job"], on: true, include: ["team"] },
  };
  const said = prose(node).texts.join(" ");
  expect(said).toContain("Keeps what is on the left where it is larger than what is on the right");
  expect(said).toContain("alike in job");
  expect(said).toContain("gets team from the other side");
});

it("has words for every function that the server has", () => {
  const signatures = readFileSync("../../query/language/signatures.py", "utf8");
  const names = [...signatures.matchAll(/add\(\s*"([a-z_0-9 ]+)"/g)].flatMap(([, names]) =>
    (names ?? "").split(" "),
  );
  expect(names.length).toBeGreaterThan(80);
  expect(names.filter((name) => !functionText(name)).join()).toBe("");
});
