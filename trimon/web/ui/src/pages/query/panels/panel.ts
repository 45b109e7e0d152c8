/** A panel: what is asked, for which times, and how it is shown. All of it stands in the page's URL. */

export type TabName = "table" | "graph" | "explain";
export type DisplayMode = "lines" | "stacked" | "heatmap";
export type Density = "low" | "medium" | "high";
export type Resolution =
  | { type: "auto"; density: Density }
  | { type: "fixed"; stepMs: number }
  | { type: "custom"; stepMs: number };

export interface Panel {
  expression: string;
  tab: TabName;
  /** Undefined: now, whenever it is asked. */
  endMs: number | undefined;
  rangeMs: number;
  resolution: Resolution;
  mode: DisplayMode;
  exemplars: boolean;
  /** What the vertical axis begins with at most; undefined: where the values do. */
  yMin: number | undefined;
  isLog: boolean;
  showTree: boolean;
  /** After how many seconds it asks again by itself; 0 for never. */
  refreshS: number;
}

export const DEFAULT_PANEL: Panel = {
  expression: "",
  tab: "table",
  endMs: undefined,
  rangeMs: 3_600_000,
  resolution: { type: "auto", density: "medium" },
  mode: "lines",
  exemplars: false,
  yMin: undefined,
  isLog: false,
  showTree: false,
  refreshS: 0,
};
export const REFRESH_S: readonly number[] = [0, 5, 15, 30, 60, 300];

/** Whether nobody has put anything into a panel. */
export function isBlank(panel: Panel): boolean {
  return (Object.keys(DEFAULT_PANEL) as (keyof Panel)[]).every(
    (name) => JSON.stringify(panel[name]) === JSON.stringify(DEFAULT_PANEL[name]),
  );
}

const STEPS: Record<Density, number> = { low: 100, medium: 250, high: 750 };
/** More points a series no server answers with. */
export const POINTS_MAX = 11_000;

/** The step that a panel asks with, in ms; never so short that the server would refuse. */
export function stepMs(panel: Panel): number {
  const { resolution, rangeMs } = panel;
  const wanted =
    resolution.type === "auto"
      ? Math.floor(rangeMs / STEPS[resolution.density])
      : Math.floor(resolution.stepMs);
  return Math.max(1, wanted, resolution.type === "auto" ? 1000 : 1);
}

/** When an instant query of a panel is asked for; nothing for now. */
export function timeParameter(panel: Panel): { time?: number } {
  return panel.endMs === undefined ? {} : { time: panel.endMs / 1000 };
}

export interface TimeRange {
  startMs: number;
  endMs: number;
  stepMs: number;
}

/** The times that a panel asks for. */
export function timeRange(panel: Panel, nowMs: number): TimeRange {
  // Whole seconds are easier to read, and to ask again.
  const endMs = panel.endMs ?? Math.floor(nowMs / 1000) * 1000;
  return { startMs: endMs - panel.rangeMs, endMs, stepMs: stepMs(panel) };
}
