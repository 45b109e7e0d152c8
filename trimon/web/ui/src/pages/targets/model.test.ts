import { expect, it } from "vitest";
import { healths, pools, type Scrape, scrapeParts, type Target } from "./model";

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
  expect(healths(targets)).toEqual({ up: 1, down: 1, unknown: 1 });
});

it("has the parts of a scrape in their order, without those that there were none of", () => {
  const scrape = { parts: { store: 0.1, connect: 0.2, tls: 0, firstByte: 1 } } as unknown as Scrape;
  expect(scrapeParts(scrape).map((part) => part.kind)).toEqual(["connect", "firstByte", "store"]);
});
