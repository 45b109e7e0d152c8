/** A part of an expression in words. */

import { functionText } from "./functions";
import {
  type Aggregation,
  type Binary,
  durationText,
  type Expression,
  expressionText,
  labelList,
  type Matcher,
  type Selector,
  type Subquery,
} from "./syntax";

export interface Prose {
  title: string;
  /** One paragraph each. */
  texts: string[];
}

const AGGREGATIONS: Record<string, string> = {
  sum: "Adds up the values of all series",
  avg: "Averages the values of all series",
  min: "Takes the smallest value of all series",
  max: "Takes the largest value of all series",
  count: "Counts the series",
  group: "Gives the value 1 for all series together",
  stddev: "Takes the standard deviation over all series",
  stdvar: "Takes the variance over all series",
  count_values: "Counts for each value how many series have it, and names the value in a label,",
  quantile: "Takes a quantile over all series",
  topk: "Keeps the series with the largest values, with all their labels,",
  bottomk: "Keeps the series with the smallest values, with all their labels,",
  limitk: "Keeps some of the series, with all their labels,",
  limit_ratio: "Keeps a share of the series, with all their labels,",
};

const KEEPING = ["topk", "bottomk", "limitk", "limit_ratio"];
const COMPARISONS: Record<string, string> = {
  "==": "is equal to",
  "!=": "is not equal to",
  ">": "is larger than",
  "<": "is smaller than",
  ">=": "is at least",
  "<=": "is at most",
};
const ARITHMETIC: Record<string, string> = {
  "+": "Adds the right to the left",
  "-": "Subtracts the right from the left",
  "*": "Multiplies left and right",
  "/": "Divides the left by the right",
  "%": "Takes the rest of dividing the left by the right",
  "^": "Raises the left to the power of the right",
  atan2: "Takes the angle whose tangent is left by right, in radians",
};
const SETS: Record<string, string> = {
  and: "Keeps the series of the left for which there is one on the right, with the values of the left.",
  or: "Keeps all series of the left, and those of the right that have none on the left.",
  unless: "Keeps the series of the left for which there is none on the right.",
};

function matcherProse({ name, type, value }: Matcher): string {
  const label = name === "__name__" ? "the name" : `the label ${name}`;
  if (value === "") {
    if (type === "=") return `there is no ${label.replace("the ", "")}`;
    if (type === "!=") return `there is a ${label.replace("the ", "")}`;
  }
  const how = {
    "=": `is "${value}"`,
    "!=": `is not "${value}"`,
    "=~": `matches all of the regular expression "${value}"`,
    "!~": `does not match the regular expression "${value}"`,
  }[type];
  return `${label} ${how}`;
}

function moment(node: Selector | Subquery): string[] {
  const texts: string[] = [];
  if (node.startOrEnd) texts.push(`It looks at the ${node.startOrEnd} of the whole range that is asked for.`);
  else if (node.timestamp !== null) {
    texts.push(
      `It looks at one moment, ${new Date(node.timestamp).toISOString()}, whatever time is asked for.`,
    );
  }
  if (node.offset || node.offsetExpr) {
    const text = durationText(Math.abs(node.offset), node.offsetExpr);
    texts.push(`It looks ${text} ${node.offset < 0 ? "into the future" : "back"} from there.`);
  }
  return texts;
}

function selectorProse(node: Selector): Prose {
  const conditions = node.matchers
    .filter((each) => !(node.name && each.name === "__name__" && each.type === "="))
    .map(matcherProse);
  const what = node.name ? `all series of ${node.name}` : "all series of any name";
  const where = conditions.length ? ` of which ${conditions.join(", and ")}` : "";
  const texts =
    node.type === "matrixSelector"
      ? [
          `All samples of the last ${durationText(node.range ?? 0, node.rangeExpr)} of ${what}${where}. A range like this is what functions such as rate read; by itself it cannot be drawn.`,
        ]
      : [
          `The last sample of ${what}${where}. A sample counts for five minutes, unless the server or the question says otherwise, or until its target no longer has it.`,
        ];
  if (node.anchored) texts.push("The sample before the range counts as its begin.");
  if (node.smoothed) texts.push("Values at both ends of the range are interpolated.");
  return {
    title: node.type === "matrixSelector" ? "Range selector" : "Selector",
    texts: [...texts, ...moment(node)],
  };
}

function aggregationProse(node: Aggregation): Prose {
  const does = AGGREGATIONS[node.op] ?? `Computes ${node.op} over all series`;
  const names = labelList(node.grouping);
  const keeps = KEEPING.includes(node.op);
  const groups = node.without
    ? node.grouping.length
      ? `that are alike in all labels but ${names}`
      : "that are alike in all labels"
    : node.grouping.length
      ? `that are alike in ${names}`
      : "";
  const texts = [groups ? `${does} ${groups}.` : `${does.replace(/,$/, "")}.`];
  if (!keeps) {
    texts.push(
      node.without
        ? `What comes out has all labels but ${names || "the name"}.`
        : node.grouping.length
          ? `What comes out has the ${node.grouping.length === 1 ? "label" : "labels"} ${names}, and no other.`
          : "What comes out is one series without labels.",
    );
  }
  if (node.param) texts.push(`Its parameter is ${expressionText(node.param)}.`);
  return { title: "Aggregation", texts };
}

function matchingProse(node: Binary): string[] {
  const { matching } = node;
  if (!matching) return ["One side is a plain number: it is taken with every series of the other side."];
  const names = labelList(matching.labels);
  const texts = [
    matching.on
      ? matching.labels.length
        ? `A series of the left and one of the right belong together when they are alike in ${names}.`
        : "All series belong together, whatever their labels."
      : matching.labels.length
        ? `A series of the left and one of the right belong together when they are alike in all labels but ${names}.`
        : "A series of the left and one of the right belong together when they are alike in all labels but the name.",
  ];
  const include = matching.include.length
    ? `, and gets ${labelList(matching.include)} from the other side`
    : "";
  if (matching.card === "many-to-one")
    texts.push(`Several of the left may belong to one of the right; each keeps its labels${include}.`);
  if (matching.card === "one-to-many")
    texts.push(`Several of the right may belong to one of the left; each keeps its labels${include}.`);
  if (matching.card === "one-to-one")
    texts.push("On each side one series at most may belong to another; several are an error.");
  const { lhs = null, rhs = null } = matching.fillValues ?? {};
  if (lhs !== null) texts.push(`What is missing on the left counts as ${lhs}.`);
  if (rhs !== null) texts.push(`What is missing on the right counts as ${rhs}.`);
  if (matching.card !== "many-to-many" && lhs === null && rhs === null)
    texts.push("What has no counterpart is dropped.");
  return texts;
}

function binaryProse(node: Binary): Prose {
  const compared = COMPARISONS[node.op];
  if (compared) {
    const does = node.bool
      ? `Gives 1 where the left ${compared} the right, else 0.`
      : `Keeps what is on the left where it ${compared} what is on the right, with its value; the rest is dropped.`;
    return { title: "Comparison", texts: [does, ...matchingProse(node)] };
  }
  const set = SETS[node.op];
  if (set) return { title: "Set operator", texts: [set, ...matchingProse(node)] };
  return {
    title: "Arithmetic",
    texts: [`${ARITHMETIC[node.op] ?? `Computes ${node.op}`}.`, ...matchingProse(node)],
  };
}

/** What a part does. */
export function prose(node: Expression): Prose {
  switch (node.type) {
    case "vectorSelector":
    case "matrixSelector":
      return selectorProse(node);
    case "aggregation":
      return aggregationProse(node);
    case "binaryExpr":
      return binaryProse(node);
    case "call":
      return { title: `Function ${node.func.name}`, texts: [functionText(node.func.name)].filter(Boolean) };
    case "subquery": {
      const step = node.step || node.stepExpr ? durationText(node.step, node.stepExpr) : "";
      const every = step ? `every ${step}` : "as often as rules are evaluated by default";
      const text = `Computes ${expressionText(node.expr)} ${every} over the last ${durationText(node.range, node.rangeExpr)}, and gives the results as a range. Every step is a query of its own: a recording rule is cheaper.`;
      return { title: "Subquery", texts: [text, ...moment(node)] };
    }
    case "unaryExpr":
      return {
        title: "Sign",
        texts: [node.op === "-" ? "Turns the sign of each value." : "Leaves each value as it is."],
      };
    case "parenExpr":
      return { title: "Parentheses", texts: ["What is inside is computed first."] };
    case "numberLiteral":
      return { title: "Number", texts: ["One number, the same at all times."] };
    default:
      return { title: "Text", texts: ["A text, which functions take as an argument."] };
  }
}
