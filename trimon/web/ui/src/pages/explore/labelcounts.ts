/** The labels of series, and how many series each of their values has. */

import { type Labels, labelName, quoted } from "../../values/labels";

export interface LabelCounts {
  label: string;
  /** Values with their numbers of series, those with most first. */
  values: [string, number][];
}

/** Of each label all values; those labels first that have most. */
export function labelCounts(series: readonly Labels[]): LabelCounts[] {
  const found = new Map<string, Map<string, number>>();
  for (const labels of series) {
    for (const [name, value] of Object.entries(labels)) {
      if (name === "__name__") continue;
      const values = found.get(name) ?? new Map<string, number>();
      values.set(value, (values.get(value) ?? 0) + 1);
      found.set(name, values);
    }
  }
  return [...found]
    .map(([label, values]) => ({ label, values: [...values].sort((a, b) => b[1] - a[1]) }))
    .sort((a, b) => b.values.length - a.values.length);
}

/** The series that have every wanted value. */
export function filtered(series: readonly Labels[], wanted: Labels): Labels[] {
  const all = Object.entries(wanted);
  return series.filter((labels) => all.every(([name, value]) => labels[name] === value));
}

/** A metric's selector with matchers for what is wanted. */
export function narrowed(selector: string, wanted: Labels): string {
  const matchers = Object.entries(wanted).map(([name, value]) => `${labelName(name)}=${quoted(value)}`);
  if (!matchers.length) return selector;
  return selector.endsWith("}")
    ? `${selector.slice(0, -1)}, ${matchers.join(", ")}}`
    : `${selector}{${matchers.join(", ")}}`;
}
