import { expect, it } from "vitest";
import { matchGroups } from "./matching";
import type { Matching } from "./syntax";

const ON_JOB: Matching = { card: "one-to-one", labels: ["job"], on: true, include: [] };
const A = { __name__: "a", job: "x", pod: "1" };
const A2 = { __name__: "a", job: "x", pod: "2" };
const B = { __name__: "b", job: "x" };
const LONELY = { __name__: "b", job: "y" };

function outcomes(op: string, matching: Matching, left: object[], right: object[]) {
  const groups = matchGroups(op, matching, left as never, right as never);
  return groups.map((each) => [each.labels.job, each.outcome]);
}

it("pairs series that are alike, and drops the others", () => {
  expect(outcomes("/", ON_JOB, [A], [LONELY, B])).toEqual([
    ["x", "matched"],
    ["y", "dropped"],
  ]);
});

it("names several where one may be, mistakes first", () => {
  const [first] = matchGroups("/", ON_JOB, [A, A2], [LONELY, B]);
  expect(first?.outcome).toBe("error");
  expect(first?.why).toBe("2 series on the left: only group_left allows several");
  expect(outcomes("/", { ...ON_JOB, card: "many-to-one" }, [A, A2], [B])).toEqual([["x", "matched"]]);
  expect(outcomes("/", { ...ON_JOB, card: "one-to-many" }, [A, A2], [B])).toEqual([["x", "error"]]);
});

it("fills what is missing where the query says so", () => {
  const filled: Matching = { ...ON_JOB, fillValues: { lhs: "0", rhs: null } };
  expect(outcomes("+", filled, [], [LONELY])).toEqual([["y", "filled"]]);
  expect(outcomes("+", filled, [A], [])).toEqual([["x", "dropped"]]);
});

it("compares all labels but the name and those to be ignored", () => {
  const plain: Matching = { card: "one-to-one", labels: [], on: false, include: [] };
  expect(outcomes("/", plain, [A], [B])).toEqual([
    ["x", "dropped"],
    ["x", "dropped"],
  ]);
  expect(outcomes("/", { ...plain, labels: ["pod"] }, [A], [B])).toEqual([["x", "matched"]]);
});

it("keeps and drops as the set operators do", () => {
  const many: Matching = { card: "many-to-many", labels: ["job"], on: true, include: [] };
  expect(outcomes("and", many, [A, A2], [B])).toEqual([["x", "kept"]]);
  expect(outcomes("and", many, [A], [LONELY])).toEqual([
    ["x", "dropped"],
    ["y", "dropped"],
  ]);
  expect(outcomes("unless", many, [A], [B])).toEqual([["x", "dropped"]]);
  expect(outcomes("or", many, [], [LONELY])).toEqual([["y", "kept"]]);
});
