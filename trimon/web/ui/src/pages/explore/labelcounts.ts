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

export const OPERATORS = ["=", "!=", "=~", "!~"] as const;
export type Operator = (typeof OPERATORS)[number];

/** One condition of a selector. */
export interface Matcher {
  label: string;
  operator: Operator;
  value: string;
}

export function matcherText({ label, operator, value }: Matcher): string {
  return `${labelName(label)}${operator}${quoted(value)}`;
}

/** Whether a matcher's expression can be read at all. */
export function isValid({ operator, value }: Matcher): boolean {
  if (!operator.includes("~")) return true;
  try {
    new RegExp(value, "s");
    return true;
  } catch {
    return false;
  }
}

function test({ operator, value }: Matcher): (text: string) => boolean {
  const isWanted = !operator.startsWith("!");
  if (!operator.includes("~")) return (text) => (text === value) === isWanted;
  const pattern = new RegExp(`^(?:${value})$`, "s");
  return (text) => pattern.test(text) === isWanted;
}

/** The series that fit every matcher; a label that is not there is empty, as in PromQL. */
export function filtered(series: readonly Labels[], wanted: readonly Matcher[]): Labels[] {
  const tests = wanted.filter(isValid).map((each) => [each.label, test(each)] as const);
  return series.filter((labels) => tests.every(([label, fits]) => fits(labels[label] ?? "")));
}

/** A metric's selector with matchers for what is wanted. */
export function narrowed(selector: string, wanted: readonly Matcher[]): string {
  const matchers = wanted.map(matcherText);
  if (!matchers.length) return selector;
  return selector.endsWith("}")
    ? `${selector.slice(0, -1)}, ${matchers.join(", ")}}`
    : `${selector}{${matchers.join(", ")}}`;
}
