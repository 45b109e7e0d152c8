/** Targets and their last scrapes, as the API has them. */

import type { Labels } from "../../values/labels";
import { own } from "../../values/own";

export interface Fault {
  line: number;
  column: number;
  text: string;
  mark: string;
}

export interface Scrape {
  id: number;
  time: string;
  health: string;
  error: string;
  fault: Fault | null;
  duration: number;
  parts: Record<string, number>;
  status: number;
  contentType: string;
  wireBytes: number;
  bodyBytes: number;
  samples: number;
  series: number;
  hasBody?: boolean;
}

/** Whether two scrapes failed for the same reason, at the same text. */
export function isSameFault(a: Scrape, b: Scrape): boolean {
  return a.error === b.error && a.fault?.text === b.fault?.text && a.fault?.column === b.fault?.column;
}

export interface Target {
  id: string;
  scrapePool: string;
  scrapeUrl: string;
  /** Where people elsewhere find it: a loopback address is the server's own there. */
  globalUrl: string;
  labels: Labels;
  discoveredLabels: Labels;
  health: string;
  lastScrape: Scrape | null;
}

export interface Pool {
  name: string;
  up: number;
  all: number;
}

/** The pools in order, with how many of their targets are up; also those of `names` that have none. */
export function pools(targets: readonly Target[], names: readonly string[] = []): Pool[] {
  const found = new Map<string, Pool>(names.map((name) => [name, { name, up: 0, all: 0 }]));
  for (const target of targets) {
    const pool = found.get(target.scrapePool) ?? { name: target.scrapePool, up: 0, all: 0 };
    pool.all++;
    if (target.health === "up") pool.up++;
    found.set(target.scrapePool, pool);
  }
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

export interface PoolCount {
  name: string;
  active: number;
  /** With those that were dropped, also where they are only counted. */
  total: number;
}

/** Of each pool, also of one without any target, how many targets were found, and how many of those are scraped. */
export function poolCounts(
  found: readonly { pool: string; labels: Labels | undefined }[],
  dropped: Readonly<Record<string, number>>,
): PoolCount[] {
  const pools = new Map<string, { active: number; kept: number }>();
  for (const name of Object.keys(dropped)) pools.set(name, { active: 0, kept: 0 });
  for (const { pool, labels } of found) {
    const known = pools.get(pool) ?? { active: 0, kept: 0 };
    if (labels) known.active++;
    else known.kept++;
    pools.set(pool, known);
  }
  return [...pools]
    .map(([name, { active, kept }]) => ({
      name,
      active,
      total: active + Math.max(kept, own(dropped, name) ?? 0),
    }))
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** How many targets are in each state of health. */
export function healths(targets: readonly Target[]): Record<"up" | "down" | "unknown", number> {
  const counts = { up: 0, down: 0, unknown: 0 };
  for (const { health } of targets)
    if (health === "up" || health === "down" || health === "unknown") counts[health]++;
  return counts;
}

export function toneOf(health: string): "good" | "bad" | "none" {
  return health === "up" ? "good" : health === "down" ? "bad" : "none";
}

const PARTS: readonly (readonly [string, string])[] = [
  ["resolve", "looking the name up"],
  ["connect", "connecting"],
  ["tls", "TLS"],
  ["firstByte", "waiting for the first byte"],
  ["body", "the body"],
];
const OWN_PARTS: readonly (readonly [string, string])[] = [
  ["read", "reading it"],
  ["store", "storing it"],
];

export interface TimePart {
  name: string;
  kind: string;
  s: number;
}

/** The parts of a scrape's time, in their order. */
export function scrapeParts(scrape: Scrape): TimePart[] {
  const parts: TimePart[] = [];
  for (const [kind, name] of [...PARTS, ...OWN_PARTS]) {
    const s = scrape.parts[kind] ?? 0;
    if (s > 0) parts.push({ name, kind, s });
  }
  return parts;
}
