import { expect, it } from "vitest";
import { DEFAULT_PANEL } from "../panels/panel";
import { curlCommand, graphCsv, tableCsv } from "./share";

it("makes a command that a shell takes as it is", () => {
  const panel = { ...DEFAULT_PANEL, expression: `up{a='b"c'}`, endMs: 100_000 };
  expect(curlCommand(panel, "http://x/prom", 0)).toBe(
    `curl -s 'http://x/prom/api/v1/query' --data-urlencode 'query=up{a='\\''b"c'\\''}' --data-urlencode 'time=100'`,
  );
  expect(curlCommand({ ...panel, tab: "graph", rangeMs: 60_000 }, "http://x", 0)).toContain(
    "--data-urlencode 'start=40'",
  );
});

it("writes tables that spreadsheets read, and no formula", () => {
  const text = tableCsv({
    resultType: "vector",
    result: [
      { metric: { __name__: "up", job: 'a,"b"' }, value: [1.5, "-1"] },
      { metric: { job: "=1+1" }, value: [1.5, "+Inf"] },
    ],
  });
  expect(text).toBe(`__name__,job,time,value\nup,"a,""b""",1.5,-1\n,'=1+1,1.5,+Inf\n`);
});

it("writes graphs a row a time", () => {
  expect(
    graphCsv(
      {
        timesS: [0, 60],
        columns: [
          [1, null],
          [2, 3],
        ],
      },
      ["a", "b"],
    ),
  ).toBe("time,a,b\n1970-01-01T00:00:00.000Z,1,2\n1970-01-01T00:01:00.000Z,,3\n");
});
