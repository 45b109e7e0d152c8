import { expect, it } from "vitest";
import { found, matches, words } from "./search";

const same = (text: string) => text;

it("finds all words in any order and leaves out what is refused", () => {
  expect(matches(words("node DOWN"), "down on node-7")).toBe(true);
  expect(matches(words("node -down"), "down on node-7")).toBe(false);
  expect(matches(words(""), "anything")).toBe(true);
  expect(matches(words("-"), "a-b")).toBe(true);
});

it("finds characters in order where nothing has the word itself", () => {
  const rows = ["HostOutOfMemory", "node_cpu_seconds_total", "instance=127.0.0.1:9661", "up"];
  expect(found(rows, "hstoutmem", same)).toEqual(["HostOutOfMemory"]);
  expect(found(rows, "nodcpu", same)).toEqual(["node_cpu_seconds_total"]);
  expect(found(rows, "1279661", same)).toEqual(["instance=127.0.0.1:9661"]);
  expect(found(rows, "nodcpu -total", same)).toEqual([]);
  expect(found(["down here", "d.o.w.n"], "down", same)).toEqual(["down here"]);
  expect(found(["do we know none"], "down", same)).toEqual([]);
});

it("has what is just that first, then what begins so, else the order of the rows", () => {
  const rows = ["sum_up", "up_time b", "up_time a", "setup", "job=up"];
  expect(found(rows, "up", same)).toEqual(["job=up", "up_time b", "up_time a", "sum_up", "setup"]);
  expect(found(rows, "", same)).toBe(rows);
});
