/** Label sets, as PromQL writes them. */

export type Labels = Record<string, string>;

const LEGACY_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const LEGACY_METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** A text in PromQL's double quotes. */
export function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "\\r")}"`;
}

/** A label's name where a selector has it: quoted when it is not a plain one. */
export function labelName(name: string): string {
  return LEGACY_LABEL.test(name) ? name : quoted(name);
}

/** A series as a selector that matches it: `up{job="a"}`, `{"with dots", job="a"}`. */
export function seriesName(labels: Labels): string {
  const { __name__: name, ...others } = labels;
  const isPlain = name === undefined || LEGACY_METRIC.test(name);
  const inside = Object.entries(others)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${labelName(label)}=${quoted(value)}`);
  if (!isPlain) inside.unshift(quoted(name));
  if (isPlain && name && !inside.length) return name;
  return `${isPlain ? (name ?? "") : ""}{${inside.join(", ")}}`;
}
