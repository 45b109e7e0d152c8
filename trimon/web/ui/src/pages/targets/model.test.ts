import { expect, it } from "vitest";
import { endpointParts } from "./endpoint";
import { healths, isSameFault, poolCounts, pools, type Scrape, scrapeParts, type Target } from "./model";

function target(scrapePool: string, health: string): Target {
  return {
    id: "",
    scrapePool,
    health,
    scrapeUrl: "",
    globalUrl: "",
    labels: {},
    discoveredLabels: {},
    lastScrape: null,
  };
}

it("counts pools and healths", () => {
  const targets = [target("b10", "up"), target("b2", "down"), target("b10", "unknown")];
  expect(pools(targets)).toEqual([
    { name: "b2", up: 0, all: 1 },
    { name: "b10", up: 1, all: 2 },
  ]);
  expect(pools(targets, ["b2", "empty"]).map(({ name, all }) => [name, all])).toEqual([
    ["b2", 1],
    ["b10", 2],
    ["empty", 0],
  ]);
  expect(healths(targets)).toEqual({ up: 1, down: 1, unknown: 1 });
});

it("has the parts of a scrape in their order, without those that there were none of", () => {
  const scrape = { parts: { store: 0.1, connect: 0.2, tls: 0, firstByte: 1 } } as unknown as Scrape;
  expect(scrapeParts(scrape).map((part) => part.kind)).toEqual(["connect", "firstByte", "store"]);
});

it("reads the parameters of an endpoint", () => {
  expect(endpointParts("http://x:1/probe?module=http_2xx&x=a+b%26c&x=2")).toEqual({
    base: "http://x:1/probe",
    parameters: [
      ["module", "http_2xx"],
      ["x", "a b&c"],
      ["x", "2"],
    ],
  });
  expect(endpointParts("http://x:1/metrics")).toEqual({ base: "http://x:1/metrics", parameters: [] });
});

it("folds scrapes that failed for one reason", () => {
  const fault = { line: 3, column: 2, text: "up on", mark: " ^" };
  const scrape = { error: "no number", fault } as unknown as Scrape;
  expect(isSameFault(scrape, { ...scrape, fault: { ...fault } })).toBe(true);
  expect(isSameFault(scrape, { ...scrape, fault: { ...fault, text: "up off" } })).toBe(false);
  expect(isSameFault(scrape, { ...scrape, error: "timeout" })).toBe(false);
});

it("counts what was found so that the parts are the whole", () => {
  const found = [
    { pool: "b", labels: {} },
    { pool: "b", labels: undefined },
    { pool: "b", labels: {} },
  ];
  expect(poolCounts(found, { b: 3, a: 0 })).toEqual([
    { name: "a", active: 0, total: 0 },
    { name: "b", active: 2, total: 5 },
  ]);
});
