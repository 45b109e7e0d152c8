/** Rules and alerts, as the API has them. */

import type { FilterChip } from "../../components/controls/chips";
import type { Labels } from "../../values/labels";
import { count, parseNumber } from "../../values/numbers";

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

export type AlertState = "failing" | "firing" | "pending" | "inactive" | "unknown";
// By how much they need somebody.
const STATES: readonly AlertState[] = ["failing", "firing", "pending", "unknown", "inactive"];

/** What a rule does: one that fails has no other state worth a word. */
export function stateOf(rule: Rule): AlertState {
  if (rule.health === "err") return "failing";
  return STATES.find((state) => state === rule.state) ?? "unknown";
}

/** States by how much they need somebody. */
export function stateOrder(state: AlertState): number {
  return STATES.indexOf(state);
}

/** A value for people, with all its digits: the API has "1.000000006e+09". A histogram's text stays as it is. */
export function valueText(text: string): string {
  const value = parseNumber(text);
  return Number.isFinite(value) ? String(value) : text;
}

export function alertTone(state: string | undefined): "bad" | "warn" | "good" | "none" {
  if (state === "firing" || state === "failing") return "bad";
  if (state === "pending") return "warn";
  return state === "inactive" ? "good" : "none";
}

export function healthTone(health: string): "bad" | "good" | "none" {
  if (health === "ok") return "good";
  return health === "err" ? "bad" : "none";
}

/** How many alerting rules are in each state. */
export function stateCounts(rows: readonly Placed[]): Record<AlertState, number> {
  const counts = { failing: 0, firing: 0, pending: 0, inactive: 0, unknown: 0 };
  for (const { rule } of rows) counts[stateOf(rule)]++;
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

/** What tells a group from others of its name: its file, as long as it must be. */
function groupTitle(group: Group, all: readonly Group[]): string {
  const same = all.filter((each) => each.name === group.name);
  if (same.length < 2) return group.name;
  const short = fileName(group.file);
  const isClear = same.filter((each) => fileName(each.file) === short).length < 2;
  return `${group.name} (${isClear ? short : group.file})`;
}

const SAID: readonly AlertState[] = ["firing", "pending", "failing", "unknown", "inactive"];

/** The groups that have some of the rows, or are chosen, with how many are in which state; those that fire or fail are unwell. */
export function groupChips(
  rows: readonly Placed[],
  all: readonly Placed[] = rows,
  chosen = "",
): FilterChip[] {
  const groups = new Map(all.map(({ group }) => [groupKey(group), group]));
  const byGroup = new Map<string, Placed[]>();
  for (const row of rows) {
    const key = groupKey(row.group);
    const known = byGroup.get(key);
    if (known) known.push(row);
    else byGroup.set(key, [row]);
  }
  const every = [...groups.values()];
  return [...groups].flatMap(([name, group]) => {
    const inside = byGroup.get(name) ?? [];
    if (!inside.length && name !== chosen) return [];
    const counts = stateCounts(inside);
    const said = SAID.flatMap((state) => (counts[state] ? [`${count(counts[state])} ${state}`] : []));
    const title = groupTitle(group, every);
    return [
      { name, title, counts: said.join(", ") || "none fits", isUnwell: counts.firing + counts.failing > 0 },
    ];
  });
}
