/** Times that a person drew with a pointer, as one would have typed them. */

import type { Panel } from "./panel";

const GRIDS_MS = [
  1, 10, 100, 1000, 5000, 10_000, 15_000, 30_000, 60_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000,
  7_200_000, 21_600_000, 43_200_000, 86_400_000,
];
// A fiftieth of what was drawn nobody sees.
const PARTS = 50;
const RANGE_MS_MIN = 1000;

function gridOf(rangeMs: number): number {
  return GRIDS_MS.findLast((each) => each <= rangeMs / PARTS) ?? 1;
}

/** The end and range of a drawn span, both on round times. */
export function roundedSpan(startMs: number, endMs: number): Pick<Panel, "endMs" | "rangeMs"> {
  const gridMs = gridOf(endMs - startMs);
  const start = Math.round(startMs / gridMs) * gridMs;
  const end = Math.round(endMs / gridMs) * gridMs;
  return { endMs: end, rangeMs: Math.max(RANGE_MS_MIN, end - start) };
}

/** A round end of a range that was moved as a whole. */
export function roundedEnd(endMs: number, rangeMs: number): number {
  const gridMs = Math.max(1, gridOf(rangeMs));
  return Math.round(endMs / gridMs) * gridMs;
}
