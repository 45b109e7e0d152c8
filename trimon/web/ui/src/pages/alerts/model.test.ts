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
  valueText,
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
  expect(stateCounts(rows)).toEqual({ failing: 0, firing: 1, pending: 0, inactive: 1, unknown: 0 });
});

it("finds a rule by what its alerts are about", () => {
  const [row] = placed([GROUP]);
  expect(row ? ruleText(row) : "").toContain("instance=x:1");
});

it("puts first what needs somebody", () => {
  const states = ["inactive", "firing", "failing", "unknown", "pending"] as const;
  expect([...states].sort((a, b) => stateOrder(a) - stateOrder(b))).toEqual([
    "failing",
    "firing",
    "pending",
    "unknown",
    "inactive",
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

it("tells groups of one name apart by their files, and keeps those that have rows or are chosen", () => {
  const other = { ...GROUP, file: "/etc/rules/web.yml" } as Group;
  const third = { ...GROUP, file: "/old/web.yml" } as Group;
  const all = placed([GROUP, other, third]);
  expect(groupChips(all).map((chip) => chip.title)).toEqual([
    "g (node.yml)",
    "g (/etc/rules/web.yml)",
    "g (/old/web.yml)",
  ]);
  const chips = groupChips(all.slice(0, 1), all, "/old/web.yml;g");
  expect(chips.map(({ title, counts }) => [title, counts])).toEqual([
    ["g (node.yml)", "1 firing"],
    ["g (/old/web.yml)", "none fits"],
  ]);
});

it("writes values without exponents and keeps what is no number", () => {
  expect(["1e+00", "1.000000006e+09", "0e+00", "2.5e-01"].map(valueText)).toEqual([
    "1",
    "1000000006",
    "0",
    "0.25",
  ]);
  expect(valueText("NaN")).toBe("NaN");
  expect(valueText("{count:2, sum:3}")).toBe("{count:2, sum:3}");
});
