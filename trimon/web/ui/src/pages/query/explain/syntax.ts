/** Expressions as the server takes them apart, their parts, and each part as text again. */

import { labelName, quoted } from "../../../values/labels";
import { formatDuration } from "../../../values/time/durations";

export interface Matcher {
  name: string;
  type: "=" | "!=" | "=~" | "!~";
  value: string;
}

export interface DurationExpression {
  type: "durationExpr" | "numberLiteral";
  /** Of a number: whether it has a unit. */
  duration?: boolean;
  val?: string;
  op?: string;
  lhs?: DurationExpression | null;
  rhs?: DurationExpression | null;
  wrapped?: boolean;
}

interface Modified {
  offset: number;
  offsetExpr: DurationExpression | null;
  timestamp: number | null;
  startOrEnd: "start" | "end" | null;
}

export interface Selector extends Modified {
  type: "vectorSelector" | "matrixSelector";
  name: string;
  matchers: Matcher[];
  anchored: boolean;
  smoothed: boolean;
  range?: number;
  rangeExpr?: DurationExpression | null;
}

export interface Subquery extends Modified {
  type: "subquery";
  expr: Expression;
  range: number;
  rangeExpr: DurationExpression | null;
  step: number;
  stepExpr: DurationExpression | null;
}

export interface Matching {
  card: "one-to-one" | "one-to-many" | "many-to-one" | "many-to-many";
  labels: string[];
  on: boolean;
  include: string[];
  fillValues?: { lhs: string | null; rhs: string | null };
}

export interface Binary {
  type: "binaryExpr";
  op: string;
  bool: boolean;
  lhs: Expression;
  rhs: Expression;
  /** Null where a side is one number. */
  matching: Matching | null;
}

export interface Aggregation {
  type: "aggregation";
  op: string;
  expr: Expression;
  param: Expression | null;
  grouping: string[];
  without: boolean;
}

export interface Call {
  type: "call";
  func: { name: string; returnType: string };
  args: Expression[];
}

export type Expression =
  | Selector
  | Subquery
  | Binary
  | Aggregation
  | Call
  | { type: "unaryExpr"; op: string; expr: Expression }
  | { type: "parenExpr"; expr: Expression }
  | { type: "numberLiteral"; val: string }
  | { type: "stringLiteral"; val: string };

/** The parts of an expression, in the order of its text. */
export function partsOf(node: Expression): Expression[] {
  switch (node.type) {
    case "binaryExpr":
      return [node.lhs, node.rhs];
    case "aggregation":
      return node.param ? [node.param, node.expr] : [node.expr];
    case "call":
      return node.args;
    case "subquery":
    case "unaryExpr":
    case "parenExpr":
      return [node.expr];
    default:
      return [];
  }
}

/** How many parts an expression has with itself, counted up to `most`: made texts may have any number. */
export function partCount(whole: Expression, most: number): number {
  const waiting = [whole];
  let count = 0;
  for (let node = waiting.pop(); node && count < most; node = waiting.pop()) {
    count++;
    waiting.push(...partsOf(node));
  }
  return count;
}

/** What tells the series of a part without its samples: a range may have any number of them. */
export function seriesText(node: Expression): string {
  if (node.type === "subquery") return `last_over_time(${expressionText(node)})`;
  if (node.type !== "matrixSelector") return expressionText(node);
  return `last_over_time(${expressionText({ ...node, anchored: false, smoothed: false })})`;
}

export function durationText(fixedMs: number, dynamic: DurationExpression | null | undefined): string {
  return dynamic ? dynamicText(dynamic) : formatDuration(fixedMs);
}

function dynamicText(node: DurationExpression): string {
  if (node.type === "numberLiteral") {
    return node.duration ? formatDuration(Number(node.val) * 1000) : (node.val ?? "");
  }
  const { op = "", lhs, rhs } = node;
  let text: string;
  if (/^[a-z]/.test(op)) {
    text = `${op}(${[lhs, rhs].flatMap((side) => (side ? [dynamicText(side)] : [])).join(", ")})`;
  } else {
    text = `${lhs ? `${dynamicText(lhs)} ` : ""}${op}${lhs ? " " : ""}${rhs ? dynamicText(rhs) : ""}`;
  }
  return node.wrapped ? `(${text})` : text;
}

function modifiersText(node: Modified): string {
  const at =
    node.startOrEnd !== null
      ? ` @ ${node.startOrEnd}()`
      : node.timestamp !== null
        ? ` @ ${(node.timestamp / 1000).toFixed(3)}`
        : "";
  const hasOffset = node.offset !== 0 || node.offsetExpr !== null;
  return `${at}${hasOffset ? ` offset ${durationText(node.offset, node.offsetExpr)}` : ""}`;
}

export function matcherText(matcher: Matcher): string {
  return `${labelName(matcher.name)}${matcher.type}${quoted(matcher.value)}`;
}

function selectorText(node: Selector): string {
  const isPlain = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(node.name);
  const inside = node.matchers
    .filter((each) => !(node.name && each.name === "__name__" && each.type === "="))
    .map(matcherText);
  if (node.name && !isPlain) inside.unshift(quoted(node.name));
  const braces = inside.length ? `{${inside.join(",")}}` : "";
  const range = node.type === "matrixSelector" ? `[${durationText(node.range ?? 0, node.rangeExpr)}]` : "";
  const word = node.anchored ? " anchored" : node.smoothed ? " smoothed" : "";
  return `${isPlain ? node.name : ""}${braces || (isPlain ? "" : "{}")}${range}${word}${modifiersText(node)}`;
}

export function labelList(labels: readonly string[]): string {
  return labels.map(labelName).join(", ");
}

/** The words between two sides: operator, `bool`, and how series find each other. */
export function operatorText(node: Binary): string {
  const { matching } = node;
  let text = node.op + (node.bool ? " bool" : "");
  if (!matching) return text;
  if (matching.on || matching.labels.length) {
    text += ` ${matching.on ? "on" : "ignoring"} (${labelList(matching.labels)})`;
  }
  if (matching.card === "many-to-one") text += ` group_left (${labelList(matching.include)})`;
  if (matching.card === "one-to-many") text += ` group_right (${labelList(matching.include)})`;
  const { lhs = null, rhs = null } = matching.fillValues ?? {};
  if (lhs !== null && lhs === rhs) return `${text} fill (${lhs})`;
  if (lhs !== null) text += ` fill_left (${lhs})`;
  if (rhs !== null) text += ` fill_right (${rhs})`;
  return text;
}

/** The words before the parentheses of an aggregation. */
export function aggregationText(node: Aggregation): string {
  if (!node.without && !node.grouping.length) return node.op;
  return `${node.op} ${node.without ? "without" : "by"} (${labelList(node.grouping)})`;
}

/** A part as text that can be asked by itself. */
export function expressionText(node: Expression): string {
  switch (node.type) {
    case "binaryExpr":
      return `${expressionText(node.lhs)} ${operatorText(node)} ${expressionText(node.rhs)}`;
    case "aggregation":
      return `${aggregationText(node)} (${partsOf(node).map(expressionText).join(", ")})`;
    case "call":
      return `${node.func.name}(${node.args.map(expressionText).join(", ")})`;
    case "subquery": {
      const step = node.step || node.stepExpr ? durationText(node.step, node.stepExpr) : "";
      return `${expressionText(node.expr)}[${durationText(node.range, node.rangeExpr)}:${step}]${modifiersText(node)}`;
    }
    case "unaryExpr":
      return `${node.op}${expressionText(node.expr)}`;
    case "parenExpr":
      return `(${expressionText(node.expr)})`;
    case "numberLiteral":
      return node.val;
    case "stringLiteral":
      return quoted(node.val);
    default:
      return selectorText(node);
  }
}

/** What a part does by itself, with "…" for each of its parts. */
export function headText(node: Expression): string {
  switch (node.type) {
    case "binaryExpr":
      return `… ${operatorText(node)} …`;
    case "aggregation":
      return `${aggregationText(node)} (${node.param ? "…, …" : "…"})`;
    case "call":
      return `${node.func.name}(${node.args.map(() => "…").join(", ")})`;
    case "subquery":
      return expressionText({ ...node, expr: { type: "numberLiteral", val: "…" } });
    case "unaryExpr":
      return `${node.op}…`;
    case "parenExpr":
      return "(…)";
    default:
      return expressionText(node);
  }
}
