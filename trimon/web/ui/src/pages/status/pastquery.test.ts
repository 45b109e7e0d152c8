import { expect, it } from "vitest";
import { type QueryRun, queryLink, whereTimeWent } from "./pastquery";

const RUN: QueryRun = {
  time: "2026-11-26T20:00:01Z",
  start: "2026-11-26T19:00:00Z",
  end: "2026-11-26T20:00:00Z",
  step_s: 15,
  took_s: 2,
  queue_s: 0.5,
  preparation_s: 0.1,
  evaluation_s: 1,
  sort_s: 0,
  samples: 10,
  error: "",
  canceled: false,
};

it("gives every second to one part", () => {
  const parts = whereTimeWent(RUN);
  expect(parts.reduce((sum, part) => sum + part.s, 0)).toBeCloseTo(2);
  expect(parts.map((part) => part.kind)).toEqual(["wait", "prepare", "compute", "write"]);
});

it("asks the same again", () => {
  const link = new URLSearchParams(queryLink("up", RUN).split("?")[1]);
  expect(Object.fromEntries(link)).toEqual({
    "g0.expr": "up",
    "g0.tab": "graph",
    "g0.range_input": "1h",
    "g0.end_input": "2026-11-26 20:00:00",
    "g0.res_type": "fixed",
    "g0.res_step": "15",
  });
  const moment = new URLSearchParams(queryLink("up", { ...RUN, step_s: 0 }, "explain").split("?")[1]);
  expect(moment.get("g0.tab")).toBe("explain");
  expect(moment.get("g0.moment_input")).toBe("2026-11-26 20:00:00");
});
