/**
 * Panels in a URL, with Prometheus' own parameters: links made by one open in the other.
 *
 *     ?g0.expr=up&g0.tab=graph&g0.range_input=2h&g1.expr=…
 *
 * Old links have numbers for tabs, `stacked` and `step_input`. `y_log` and `refresh` are ours.
 */

import { own } from "../../../values/own";
import { formatDuration, parseDuration, TYPED_MS_MAX } from "../../../values/time/durations";
import { formatTime, parseTyped } from "../../../values/time/times";
import {
  DEFAULT_PANEL,
  type Density,
  type DisplayMode,
  isBlank,
  type Panel,
  REFRESH_S,
  type Resolution,
  type TabName,
} from "./panel";

const TABS: Record<string, TabName> = {
  "0": "graph",
  "1": "table",
  graph: "graph",
  table: "table",
  explain: "explain",
};
const MODES: readonly string[] = ["lines", "stacked", "heatmap"];
const DENSITIES: readonly string[] = ["low", "medium", "high"];
export const PANELS_MAX = 50;

type Get = (name: string) => string | undefined;

function rangeOf(text: string | undefined): number {
  const ms = parseDuration(text ?? "");
  return ms && ms <= TYPED_MS_MAX ? ms : DEFAULT_PANEL.rangeMs;
}

/** Steps in ms from a millisecond, the shortest one there is, to a century; undefined for what is none. */
function stepOf(seconds: number): number | undefined {
  const ms = Math.round(seconds * 1e6) / 1000;
  return ms >= 1 && ms <= TYPED_MS_MAX ? Math.round(ms) : undefined;
}

function resolution(get: Get): Resolution {
  const type = get("res_type");
  const step = stepOf(Number.parseFloat(get("res_step") ?? ""));
  if ((type === "fixed" || type === "custom") && step) return { type, stepMs: step };
  const density = get("res_density") ?? "";
  if (type === "auto" && DENSITIES.includes(density)) return { type, density: density as Density };
  const old = stepOf(Number.parseInt(get("step_input") ?? "", 10));
  return old ? { type: "custom", stepMs: old } : DEFAULT_PANEL.resolution;
}

function mode(get: Get): DisplayMode {
  const name = get("display_mode") ?? "";
  if (MODES.includes(name)) return name as DisplayMode;
  return get("stacked") === "1" ? "stacked" : "lines";
}

function refreshOf(text: string): number {
  const seconds = (parseDuration(text) ?? 0) / 1000;
  return REFRESH_S.includes(seconds) ? seconds : 0;
}

function panelOf(get: Get): Panel {
  const tab = own(TABS, get("tab")) ?? DEFAULT_PANEL.tab;
  const endText =
    (tab === "graph" ? get("end_input") : get("moment_input")) || get("moment_input") || get("end_input");
  const yMin = Number.parseFloat(get("y_axis_min") ?? "");
  return {
    expression: get("expr") ?? "",
    tab,
    endMs: endText ? parseTyped(endText.replace("T", " "), false) : undefined,
    rangeMs: rangeOf(get("range_input")),
    resolution: resolution(get),
    mode: mode(get),
    exemplars: get("show_exemplars") === "1",
    yMin: Number.isFinite(yMin) ? yMin : undefined,
    isLog: get("y_log") === "1",
    showTree: get("show_tree") === "1",
    refreshS: refreshOf(get("refresh") ?? ""),
  };
}

/** The panels of a URL; an empty one where there is none. */
export function decodePanels(parameters: URLSearchParams): Panel[] {
  const panels: Panel[] = [];
  for (let at = 0; at < PANELS_MAX && parameters.has(`g${at}.expr`); at++) {
    panels.push(panelOf((name) => parameters.get(`g${at}.${name}`) ?? undefined));
  }
  return panels.length ? panels : [DEFAULT_PANEL];
}

function resolutionParameters(wanted: Resolution): [string, string][] {
  if (wanted.type === "auto") {
    return [
      ["res_type", "auto"],
      ["res_density", wanted.density],
    ];
  }
  return [
    ["res_type", wanted.type],
    ["res_step", String(wanted.stepMs / 1000)],
  ];
}

/** The parameters of panels. Empty ones say that they are there and no more. */
export function encodePanels(panels: readonly Panel[]): URLSearchParams {
  const out = new URLSearchParams();
  panels.forEach((panel, at) => {
    if (isBlank(panel)) {
      out.append(`g${at}.expr`, "");
      return;
    }
    const end = panel.endMs === undefined ? undefined : formatTime(panel.endMs, false);
    const fields: [string, string | undefined][] = [
      ["expr", panel.expression],
      ["show_tree", panel.showTree ? "1" : "0"],
      ["tab", panel.tab],
      ["end_input", end],
      ["moment_input", end],
      ["range_input", formatDuration(panel.rangeMs)],
      ...resolutionParameters(panel.resolution),
      ["display_mode", panel.mode],
      ["y_axis_min", panel.yMin === undefined ? undefined : String(panel.yMin)],
      ["y_log", panel.isLog ? "1" : undefined],
      ["show_exemplars", panel.exemplars ? "1" : "0"],
      ["refresh", panel.refreshS ? formatDuration(panel.refreshS * 1000) : undefined],
    ];
    for (const [name, value] of fields) if (value !== undefined) out.append(`g${at}.${name}`, value);
  });
  return out;
}
