import { expect, it } from "vitest";
import { type Expression, expressionText, headText, partCount, type Selector, seriesText } from "./syntax";

const PLAIN = {
  offset: 0,
  offsetExpr: null,
  timestamp: null,
  startOrEnd: null,
  anchored: false,
  smoothed: false,
};

function selector(name: string, more: Partial<Selector> = {}): Selector {
  const matchers = name ? [{ name: "__name__", type: "=" as const, value: name }] : [];
  return { type: "vectorSelector", name, matchers, ...PLAIN, ...more };
}

const RATE: Expression = {
  type: "call",
  func: { name: "rate", returnType: "vector" },
  args: [selector("a", { type: "matrixSelector", range: 300_000, rangeExpr: null, offset: 60_000 })],
};

const RATIO: Expression = {
  type: "binaryExpr",
  op: "/",
  bool: false,
  lhs: { type: "aggregation", op: "sum", expr: RATE, param: null, grouping: ["job"], without: false },
  rhs: selector("b", { timestamp: 1500, matchers: [{ name: "with dots", type: "!~", value: 'x"' }] }),
  matching: {
    card: "many-to-one",
    labels: ["job"],
    on: true,
    include: ["x"],
    fillValues: { lhs: null, rhs: "0" },
  },
};

it("writes parts so that they can be asked", () => {
  expect(expressionText(RATE)).toBe("rate(a[5m] offset 1m)");
  expect(expressionText(RATIO)).toBe(
    'sum by (job) (rate(a[5m] offset 1m)) / on (job) group_left (x) fill_right (0) b{"with dots"!~"x\\""} @ 1.500',
  );
  expect(expressionText(selector(""))).toBe("{}");
  expect(expressionText(selector("with.dots"))).toBe('{"with.dots"}');
});

it("writes durations that depend on the question", () => {
  const step = { type: "durationExpr" as const, op: "step", lhs: null, rhs: null, wrapped: false };
  const five = { type: "numberLiteral" as const, duration: true, val: "300" };
  const range = {
    type: "durationExpr" as const,
    op: "*",
    lhs: step,
    rhs: { ...five, duration: false, val: "3" },
  };
  const node = selector("a", { type: "matrixSelector", range: 0, rangeExpr: { ...range, wrapped: true } });
  expect(expressionText(node)).toBe("a[(step() * 3)]");
  expect(expressionText({ ...node, rangeExpr: five })).toBe("a[5m]");
});

it("shortens a part to what it does itself", () => {
  expect(headText(RATIO)).toBe("… / on (job) group_left (x) fill_right (0) …");
  expect(
    headText({
      type: "subquery",
      expr: RATE,
      range: 3_600_000,
      rangeExpr: null,
      step: 0,
      stepExpr: null,
      ...PLAIN,
    }),
  ).toBe("…[1h:]");
});

it("counts parts up to a bound, and asks for the series of ranges without their samples", () => {
  expect(partCount(RATIO, 100)).toBe(5);
  expect(partCount(RATIO, 3)).toBe(3);
  const range = selector("a", { type: "matrixSelector", range: 300_000, rangeExpr: null, smoothed: true });
  expect(expressionText(range)).toBe("a[5m] smoothed");
  expect(seriesText(range)).toBe("last_over_time(a[5m])");
});
