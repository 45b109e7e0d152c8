/** What a panel shows, to be taken elsewhere. */

import { encoded } from "../../../api/client";
import { hasSeries, type Result } from "../../../api/results";
import type { ChartData } from "../../../components/chart/chartdata";
import { short } from "../../../values/numbers";
import { cut, visible } from "../../../values/outside";
import { type Panel, timeRange } from "../panels/panel";
import type { Heatmap } from "./heatmapdata";

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A command that asks the same. */
export function curlCommand(panel: Panel, base: string, nowMs: number): string {
  const isRange = panel.tab === "graph";
  const times = timeRange(panel, nowMs);
  const parameters = isRange
    ? {
        query: panel.expression,
        start: times.startMs / 1000,
        end: times.endMs / 1000,
        step: times.stepMs / 1000,
      }
    : { query: panel.expression, time: times.endMs / 1000 };
  const path = `${base}/api/v1/${isRange ? "query_range" : "query"}`;
  const data = [...encoded(parameters)].map(
    ([name, value]) => `--data-urlencode ${shellQuoted(`${name}=${value}`)}`,
  );
  return `curl -s ${shellQuoted(path)} ${data.join(" ")}`;
}

function csvField(text: string): string {
  // A leading sign would be a formula to a spreadsheet; names of series begin with none, numbers may.
  const isFormula =
    /^[=@\t\r]/.test(text) || (/^[+-]/.test(text) && Number.isNaN(Number(text)) && !/^[+-]Inf$/.test(text));
  const safe = isFormula ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csv(rows: readonly (readonly string[])[]): string {
  return `${rows.map((row) => row.map(csvField).join(",")).join("\n")}\n`;
}

/** A table: a column a label, then time and value. */
export function tableCsv(result: Result): string {
  if (!hasSeries(result)) {
    return csv([
      ["time", "value"],
      [String(result.result[0]), result.result[1]],
    ]);
  }
  const labels = [...new Set(result.result.flatMap((each) => Object.keys(each.metric)))].sort();
  const rows: string[][] = [[...labels, "time", "value"]];
  for (const each of result.result) {
    const names = labels.map((label) => each.metric[label] ?? "");
    for (const [timeS, value] of each.value ? [each.value] : (each.values ?? []))
      rows.push([...names, String(timeS), value]);
    for (const [timeS, value] of each.histogram ? [each.histogram] : (each.histograms ?? [])) {
      rows.push([...names, String(timeS), `count=${value.count} sum=${value.sum}`]);
    }
  }
  return csv(rows);
}

/** A graph: a row a time, a column a series. */
export function graphCsv(data: ChartData, names: readonly string[]): string {
  const rows = [["time", ...names]];
  data.timesS.forEach((timeS, at) => {
    rows.push([
      new Date(timeS * 1000).toISOString(),
      ...data.columns.map((column) => String(column[at] ?? "")),
    ]);
  });
  return csv(rows);
}

/** A heatmap: a row for each time and value range that something fell in. */
export function heatmapCsv(map: Heatmap): string {
  const rows = [["time", "from", "to", "count"]];
  map.timesS.forEach((timeS, at) => {
    map.rows.forEach(({ low, high }, place) => {
      const value = map.cells[at]?.[place];
      if (value) rows.push([new Date(timeS * 1000).toISOString(), ...[low, high, value].map(written)]);
    });
  });
  return csv(rows);
}

/** A number as the API writes it. */
function written(value: number): string {
  return Number.isFinite(value) ? String(value) : short(value);
}

export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const LINE_PX = 18;
const NAMES_MAX = 20;

/** A picture of a chart with the expression above and the names of its series below. */
export async function picture(
  chart: HTMLCanvasElement,
  title: string,
  names: readonly { name: string; colour: string }[],
): Promise<Blob | null> {
  const ratio = window.devicePixelRatio || 1;
  const style = getComputedStyle(document.documentElement);
  const shown = names.slice(0, NAMES_MAX);
  const line = LINE_PX * ratio;
  const canvas = document.createElement("canvas");
  canvas.width = chart.width;
  canvas.height = chart.height + (shown.length + (names.length > shown.length ? 1 : 0) + 2) * line;
  const ctx = canvas.getContext("2d");
  if (!ctx) return null;
  ctx.fillStyle = style.getPropertyValue("--surface");
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.drawImage(chart, 0, 1.5 * line);
  ctx.font = `${13 * ratio}px monospace`;
  ctx.fillStyle = style.getPropertyValue("--text");
  ctx.fillText(visible(cut(title)), line / 2, line);
  let top = chart.height + 2.2 * line;
  for (const { name, colour } of shown) {
    ctx.fillStyle = colour;
    ctx.fillRect(line / 2, top - line * 0.6, line * 0.6, line * 0.6);
    ctx.fillStyle = style.getPropertyValue("--text");
    ctx.fillText(visible(cut(name)), line * 1.5, top);
    top += line;
  }
  if (names.length > shown.length) ctx.fillText(`and ${names.length - shown.length} more`, line * 1.5, top);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
