/** An alert's expression taken apart: what is compared, how, and with which number. */

import { parser } from "@prometheus-io/lezer-promql";

export interface Comparison {
  left: string;
  operator: string;
  threshold: string;
}

const OPERATORS: Record<string, string> = { Gtr: ">", Gte: ">=", Lss: "<", Lte: "<=" };

/** The comparison with a number that an expression ends in; undefined for any other expression. */
export function comparison(expression: string): Comparison | undefined {
  const top = parser.parse(expression).topNode.firstChild;
  if (top?.name !== "BinaryExpr") return undefined;
  const left = top.firstChild;
  const middle = left?.nextSibling;
  const right = top.lastChild;
  const operator = OPERATORS[middle?.name ?? ""];
  if (!left || !right || !operator || right === middle) return undefined;
  const threshold = expression.slice(right.from, right.to);
  if (!/^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(threshold)) return undefined;
  return { left: expression.slice(left.from, left.to), operator, threshold };
}
