/** What a configuration would change, as the server tells it. */

import type { Labels } from "../../values/labels";

export interface Difference {
  field: string;
  now: unknown;
  then: unknown;
}

interface Two<T> {
  now: T;
  then: T;
}

export interface JobPlan {
  job: string;
  change: string;
  targets: Two<number | null>;
  gained: { count: number; targets: string[] };
  lost: { count: number; targets: string[] };
  relabeled: { count: number; targets: { target: string; now: Labels; then: Labels; series: number }[] };
  series: Two<number | null>;
  wouldFail: { count: number; targets: { target: string; reason: string }[] };
  fields: Difference[];
  notes: string[];
}

export interface GroupPlan {
  file: string;
  group: string;
  change: string;
  rules: Two<number>;
  fields: Difference[];
  changedRules: { rule: string; type: string; change: string; fields: Difference[] }[];
}

export interface Plan {
  changes: boolean;
  warnings: string[];
  jobs: JobPlan[];
  ruleGroups: GroupPlan[];
  sections: { section: string; fields: Difference[]; warnings: string[] }[];
  unsupported: string[];
}

/** A value in one line. */
export function said(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return typeof value === "string" ? value || "(empty)" : JSON.stringify(value);
}

/** The jobs that something becomes of; a job that stays as it is says nothing. */
export function changedJobs(plan: Plan): JobPlan[] {
  return plan.jobs.filter(
    (job) => job.change !== "same" || job.gained.count || job.lost.count || job.relabeled.count,
  );
}

export interface Totals {
  gained: number;
  lost: number;
  failing: number;
  series: number | undefined;
}

/** What the plan comes to: targets gained and lost, and how many series there would be more; undefined where unknown. */
export function totals(plan: Plan): Totals {
  const sums: Totals = { gained: 0, lost: 0, failing: 0, series: 0 };
  for (const job of plan.jobs) {
    sums.gained += job.gained.count;
    sums.lost += job.lost.count;
    sums.failing += job.wouldFail.count;
    const { now, then } = job.series;
    sums.series = then === null || sums.series === undefined ? undefined : sums.series + then - (now ?? 0);
  }
  return sums;
}
