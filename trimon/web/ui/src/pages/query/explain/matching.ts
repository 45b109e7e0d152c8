/**
 * How the series of both sides of an operator find each other.
 *
 *     a{job="x", env="1"}  ─┐ on (job)
 *                           ├─ group {job="x"} ─ one on each side: one result
 *     b{job="x", zone="2"} ─┘
 */

import type { Labels } from "../../../values/labels";
import type { Matching } from "./syntax";

export interface MatchGroup {
  key: string;
  /** What the series of the group have in common, and are found by. */
  labels: Labels;
  left: Labels[];
  right: Labels[];
  outcome: "matched" | "filled" | "dropped" | "kept" | "error";
  why: string;
}

const SETS = ["and", "or", "unless"];

function matchLabels(labels: Labels, matching: Matching): Labels {
  const names = matching.on
    ? matching.labels.filter((name) => labels[name] !== undefined)
    : Object.keys(labels).filter((name) => name !== "__name__" && !matching.labels.includes(name));
  return Object.fromEntries(names.sort().map((name) => [name, labels[name] ?? ""]));
}

function ofSet(op: string, left: number, right: number): Pick<MatchGroup, "outcome" | "why"> {
  if (op === "or") {
    if (!left) return { outcome: "kept", why: "nothing on the left: those of the right are kept" };
    return {
      outcome: "kept",
      why: right ? "those of the left are kept alone" : "those of the left are kept",
    };
  }
  if (!left) return { outcome: "dropped", why: "nothing on the left" };
  if (op === "and") {
    return right
      ? { outcome: "kept", why: "something is on the right: those of the left are kept" }
      : { outcome: "dropped", why: "nothing on the right" };
  }
  return right
    ? { outcome: "dropped", why: "something is on the right" }
    : { outcome: "kept", why: "nothing is on the right: those of the left are kept" };
}

function ofNumbers(matching: Matching, left: number, right: number): Pick<MatchGroup, "outcome" | "why"> {
  const manyLeft = matching.card === "many-to-one";
  const manyRight = matching.card === "one-to-many";
  if (left > 1 && !manyLeft) {
    return {
      outcome: "error",
      why: manyRight
        ? `${left} series on the left, where group_right allows one`
        : `${left} series on the left: only group_left allows several`,
    };
  }
  if (right > 1 && !manyRight) {
    return {
      outcome: "error",
      why: manyLeft
        ? `${right} series on the right, where group_left allows one`
        : `${right} series on the right: only group_right allows several`,
    };
  }
  if (left && right) {
    const number = Math.max(left, right);
    return { outcome: "matched", why: number === 1 ? "one result" : `${number} results` };
  }
  const fill = left ? matching.fillValues?.rhs : matching.fillValues?.lhs;
  const side = left ? "right" : "left";
  if (fill != null) return { outcome: "filled", why: `nothing on the ${side}: computed with ${fill}` };
  return { outcome: "dropped", why: `nothing on the ${side}` };
}

const ORDER = { error: 0, matched: 1, kept: 1, filled: 2, dropped: 3 };

/** All groups: mistakes first, then what has a result. */
export function matchGroups(
  op: string,
  matching: Matching,
  left: readonly Labels[],
  right: readonly Labels[],
): MatchGroup[] {
  const found = new Map<string, { labels: Labels; left: Labels[]; right: Labels[] }>();
  for (const [side, all] of [
    ["left", left],
    ["right", right],
  ] as const) {
    for (const labels of all) {
      const common = matchLabels(labels, matching);
      const key = JSON.stringify(common);
      const group = found.get(key) ?? { labels: common, left: [], right: [] };
      group[side].push(labels);
      found.set(key, group);
    }
  }
  const isSet = SETS.includes(op);
  return [...found]
    .map(([key, group]) => ({
      key,
      ...group,
      ...(isSet
        ? ofSet(op, group.left.length, group.right.length)
        : ofNumbers(matching, group.left.length, group.right.length)),
    }))
    .sort((a, b) => ORDER[a.outcome] - ORDER[b.outcome]);
}
