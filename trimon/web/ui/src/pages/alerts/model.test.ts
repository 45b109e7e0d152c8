import { expect, it } from "vitest";
import {
  type ActiveAlert,
  fileName,
  type Group,
  groupChips,
  placed,
  type Rule,
  ruleText,
  stateCounts,
  stateOrder,
  summaryOf,
} from "./model";

const GROUP = {
  name: "g",
  file: "/etc/rules/node.yml",
  rules: [
    {
      name: "A",
      query: "up == 0",
      labels: { severity: "page" },
      state: "firing",
      alerts: [{ labels: { instance: "x:1" } }],
    },
    { name: "A", query: "up == 1", labels: {}, state: "inactive" },
  ],
} as unknown as Group;

it("tells rules of one name apart by their places", () => {
  const rows = placed([GROUP]);
  expect(new Set(rows.map((row) => row.key)).size).toBe(2);
  expect(stateCounts(rows)).toEqual({ firing: 1, pending: 0, inactive: 1, unknown: 0 });
});

it("finds a rule by what its alerts are about", () => {
  const [row] = placed([GROUP]);
  expect(row ? ruleText(row) : "").toContain("instance=x:1");
});

it("puts first what needs somebody", () => {
  expect(["inactive", "firing", undefined, "pending"].sort((a, b) => stateOrder(a) - stateOrder(b))).toEqual([
    "firing",
    "pending",
    "inactive",
    undefined,
  ]);
  expect(fileName("/a/b.yml")).toBe("b.yml");
});

it("tells what an active alert is about in its own words, and no template", () => {
  const rule = {
    name: "A",
    annotations: { summary: "{{ $labels.instance }} is down" },
    alerts: [],
  } as unknown as Rule;
  expect(summaryOf(rule)).toBe("");
  const alerts = [
    { annotations: { summary: "x:1 is down" } },
    { annotations: {} },
  ] as unknown as ActiveAlert[];
  expect(summaryOf({ ...rule, alerts })).toBe("x:1 is down (and 1 more)");
});

it("counts the states of each group, and what fails apart", () => {
  const other = {
    ...GROUP,
    name: "h",
    rules: [{ ...GROUP.rules[1], health: "err" }, GROUP.rules[1]],
  } as Group;
  const chips = groupChips(placed([GROUP, other]));
  expect(chips.map(({ title, counts, isUnwell }) => [title, counts, isUnwell])).toEqual([
    ["g", "1 firing, 1 inactive", true],
    ["h", "1 failing, 1 inactive", true],
  ]);
});
