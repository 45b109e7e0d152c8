/** Rules and alerts, as the API has them. */

import type { FilterChip } from "../../components/chips";
import type { Labels } from "../../values/labels";
import { count } from "../../values/numbers";

export interface ActiveAlert {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt: string;
  value: string;
  keepFiringSince?: string;
}

export interface Rule {
  type: "alerting" | "recording";
  name: string;
  query: string;
  labels: Labels;
  health: string;
  lastError?: string;
  evaluationTime: number;
  lastEvaluation: string;
  state?: string;
  duration?: number;
  keepFiringFor?: number;
  annotations?: Labels;
  alerts?: ActiveAlert[] | null;
}

export interface Group {
  name: string;
  file: string;
  interval: number;
  limit: number;
  rules: Rule[];
  evaluationTime: number;
  lastEvaluation: string;
}

/** A rule with the group that it stands in. */
export interface Placed {
  key: string;
  group: Group;
  rule: Rule;
}

export function placed(groups: readonly Group[]): Placed[] {
  return groups.flatMap((group) =>
    group.rules.map((rule, at) => ({ key: `${group.file};${group.name};${at};${rule.name}`, group, rule })),
  );
}

export type AlertState = "firing" | "pending" | "inactive" | "unknown";
const ORDER: Record<string, number> = { firing: 0, pending: 1, unknown: 2, inactive: 3 };

/** States by how much they need somebody. */
export function stateOrder(state: string | undefined): number {
  return ORDER[state ?? "unknown"] ?? 2;
}

export function alertTone(state: string | undefined): "bad" | "warn" | "good" | "none" {
  if (state === "firing") return "bad";
  if (state === "pending") return "warn";
  return state === "inactive" ? "good" : "none";
}

export function healthTone(health: string): "bad" | "good" | "none" {
  if (health === "ok") return "good";
  return health === "err" ? "bad" : "none";
}

/** How many alerting rules are in each state. */
export function stateCounts(rows: readonly Placed[]): Record<AlertState, number> {
  const counts = { firing: 0, pending: 0, inactive: 0, unknown: 0 };
  for (const { rule } of rows) {
    const state = rule.state ?? "unknown";
    if (state in counts) counts[state as AlertState]++;
  }
  return counts;
}

/** The last part of a path, which people know a file by. */
export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** All that a search looks at. */
export function ruleText({ group, rule }: Placed): string {
  const labels = Object.entries(rule.labels).map(([name, value]) => `${name}=${value}`);
  const alerts = (rule.alerts ?? []).flatMap((alert) =>
    Object.entries(alert.labels).map(([name, value]) => `${name}=${value}`),
  );
  return [rule.name, group.name, group.file, rule.query, rule.lastError ?? "", ...labels, ...alerts].join(
    " ",
  );
}

/** What an alert is about: of one that is active its own text, else that of the rule where nothing is filled in. */
export function summaryOf(rule: Rule): string {
  const [first] = rule.alerts ?? [];
  const text = first?.annotations.summary ?? rule.annotations?.summary ?? "";
  const more = (rule.alerts?.length ?? 0) - 1;
  if (first) return more > 0 ? `${text} (and ${more} more)` : text;
  return text.includes("{{") ? "" : text;
}

export function groupKey(group: Group): string {
  return `${group.file};${group.name}`;
}

/** The groups with how many of their rules are in which state; those that fire or fail are unwell. */
export function groupChips(rows: readonly Placed[]): FilterChip[] {
  const byGroup = new Map<string, Placed[]>();
  for (const row of rows) {
    const key = groupKey(row.group);
    byGroup.set(key, [...(byGroup.get(key) ?? []), row]);
  }
  return [...byGroup].map(([name, found]) => {
    const working = found.filter(({ rule }) => rule.health !== "err");
    const counts = stateCounts(working);
    const failing = found.length - working.length;
    const said = [
      [counts.firing, "firing"],
      [counts.pending, "pending"],
      [failing, "failing"],
      [counts.unknown, "unknown"],
      [counts.inactive, "inactive"],
    ] as const;
    return {
      name,
      title: found[0]?.group.name ?? name,
      counts: said.flatMap(([number, what]) => (number ? [`${count(number)} ${what}`] : [])).join(", "),
      isUnwell: counts.firing + failing > 0,
    };
  });
}
