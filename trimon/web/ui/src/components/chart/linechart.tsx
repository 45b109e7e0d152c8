import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { isDark, localTime } from "../../state/preferences";
import { shorts } from "../../values/numbers";
import { formatTime } from "../../values/time/times";
import { axisRange, type ChartData, type Column, colour, drawnUnit, positive, stacked } from "./chartdata";
import { type DrawnExemplar, ExemplarLayer } from "./exemplars";

export interface Chart {
  data: ChartData;
  /** Which of the columns are drawn. */
  shown: readonly boolean[];
  isStacked: boolean;
  isLog: boolean;
  yMin: number | undefined;
  exemplars: readonly DrawnExemplar[];
}

interface Properties {
  chart: Chart;
  nameOf: (at: number) => string;
  onZoom: (startMs: number, endMs: number) => void;
  onMove?: (byMs: number) => void;
  onExemplar: (exemplar: DrawnExemplar) => void;
  /** Gets the canvas, for pictures. */
  canvas: { current: HTMLCanvasElement | null };
}

interface Hover {
  left: number;
  top: number;
  timeS: number;
  series: number;
  value: number;
}

const FILL_ALPHA = 0.45;
// Further away than so many pixels no line is meant.
const NEAR_PX = 40;

function variable(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A label of the time axis stands half beyond its last tick: a day has the widest.
const LAST_LABEL_PX = 38;
const DIGIT_PX = 7;

interface Drawn {
  columns: Column[];
  /** Which column of the data each of them is. */
  of: number[];
  /** What they are divided by. */
  unit: number;
}

/** The columns as they are drawn: only the shown ones, stacked or without what a logarithm has no place for. */
function drawn(chart: Chart): Drawn {
  const of = chart.data.columns.flatMap((_, at) => (chart.shown[at] ? [at] : []));
  let columns = of.map((at) => chart.data.columns[at] ?? []);
  if (chart.isStacked) columns = stacked(columns);
  if (chart.isLog) columns = positive(columns);
  const unit = chart.isLog ? 1 : drawnUnit(columns);
  if (unit !== 1)
    columns = columns.map((column) => column.map((value) => (value === null ? null : value / unit)));
  return { columns, of, unit };
}

/** The line nearest to a point: of all series at the time under the pointer. */
function nearest(plot: uPlot, chart: Chart, { columns, of }: Drawn, at: number, topPx: number): number {
  let best = -1;
  let distance = NEAR_PX;
  for (let line = 0; line < columns.length; line++) {
    const value = columns[line]?.[at];
    // In a stack what is missing has a place, and nothing to be named.
    if (value == null || chart.data.columns[of[line] ?? -1]?.[at] == null) continue;
    const away = Math.abs(plot.valToPos(value, "y") - topPx);
    if (away < distance) {
      distance = away;
      best = line;
    }
  }
  return best;
}

/** A tick of the time axis; the day stands below the first one and wherever a day begins. */
function tickText(timeS: number, at: number, stepS: number): string {
  const [date = "", time = ""] = formatTime(timeS * 1000, localTime.value).split(" ");
  if (stepS >= 86_400) return date;
  const clock = stepS < 60 ? time : time.slice(0, 5);
  return at === 0 || time.startsWith("00:00:00") ? `${clock}\n${date}` : clock;
}

function axes(unit: number): uPlot.Axis[] {
  const common = {
    stroke: variable("--muted"),
    grid: { stroke: variable("--line"), width: 1 },
    ticks: { stroke: variable("--line"), width: 1 },
    font: `12px ${variable("--sans")}`,
  };
  return [
    {
      ...common,
      space: 80,
      values: (_, ticks, __, ___, stepS) => ticks.map((tick, at) => tickText(tick, at, stepS)),
    },
    {
      ...common,
      size: (_, texts) =>
        Math.max(62, 20 + DIGIT_PX * Math.max(0, ...(texts ?? []).map((text) => text.length))),
      values: (_, ticks) => tickTexts(ticks, unit),
    },
  ];
}

/** Ticks of the vertical axis; a logarithmic axis leaves some without a number. */
function tickTexts(ticks: readonly (number | null)[], unit: number): string[] {
  const texts = shorts(ticks.filter((tick) => tick !== null).map((tick) => tick * unit));
  let next = 0;
  return ticks.map((tick) => (tick === null ? "" : (texts[next++] ?? "")));
}

function scales(chart: Chart, unit: number): uPlot.Scales {
  const { timesS } = chart.data;
  const range: [number, number] = [timesS[0] ?? 0, timesS[timesS.length - 1] ?? 1];
  if (range[0] === range[1]) range[1] += 1;
  return {
    x: { time: true, range: () => range },
    y: chart.isLog
      ? {
          distr: 3,
          log: 10,
          range: (_, low, high) => {
            const least = chart.yMin !== undefined && chart.yMin > 0 ? chart.yMin : low;
            return uPlot.rangeLog(least || 1, Math.max(high ?? 1, least || 1), 10, false);
          },
        }
      : {
          range: (_, low, high) =>
            axisRange(low, high, { min: chart.yMin, isStacked: chart.isStacked, unit }),
        },
  };
}

function options(chart: Chart, { of, unit }: Drawn, box: HTMLElement): uPlot.Options {
  const isDarkNow = isDark();
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    padding: [10, LAST_LABEL_PX, 0, 0],
    legend: { show: false },
    cursor: { points: { show: false }, drag: { x: true, y: false, setScale: false }, y: false },
    scales: scales(chart, unit),
    axes: axes(unit),
    tzDate: (timeS) =>
      localTime.value ? new Date(timeS * 1000) : uPlot.tzDate(new Date(timeS * 1000), "Etc/UTC"),
    // Each fills down to the one below it, and not over it.
    bands: chart.isStacked
      ? of.slice(1).map((_, at) => ({ series: [at + 2, at + 1] as [number, number] }))
      : [],
    series: [
      {},
      ...of.map((at) => {
        const stroke = colour(at, isDarkNow);
        return {
          stroke,
          width: 1.5,
          points: { show: true, size: 4, fill: stroke, filter: loneSamples },
          ...(chart.isStacked ? { fill: stroke.replace(")", ` / ${FILL_ALPHA})`) } : {}),
        };
      }),
    ],
  };
}

/** Samples without neighbours, which no line would show. */
function loneSamples(plot: uPlot, series: number): number[] {
  const column = plot.data[series];
  const found: number[] = [];
  for (let at = 0; at < (column?.length ?? 0); at++) {
    if (column?.[at] == null) continue;
    if (column[at - 1] == null && column[at + 1] == null) found.push(at);
  }
  return found;
}

/** Lines over time. Dragging zooms, dragging with Shift moves; what the pointer is near is named. */
export function LineChart(properties: Properties) {
  const { chart } = properties;
  const place = useRef<HTMLDivElement>(null);
  const latest = useRef(properties);
  latest.current = properties;
  const [hover, setHover] = useState<Hover | undefined>();
  const plotted = useRef<uPlot>();
  const layer = useRef<ExemplarLayer>();
  const look = `${isDark()} ${localTime.value}`;
  useEffect(() => {
    const box = place.current;
    if (!box) return undefined;
    const lines = drawn(chart);
    const { columns, of, unit } = lines;
    const made: uPlot.Options = options(chart, lines, box);
    layer.current = new ExemplarLayer(chart.exemplars, unit);
    made.hooks = {
      setCursor: [
        (plot) => {
          const { idx, left = -1, top = -1 } = plot.cursor;
          const line = idx == null || left < 0 ? -1 : nearest(plot, chart, lines, idx, top);
          const series = of[line];
          const value = series === undefined || idx == null ? null : chart.data.columns[series]?.[idx];
          const y = line >= 0 && idx != null ? columns[line]?.[idx] : null;
          if (idx == null || series === undefined || value == null || y == null) {
            setHover(undefined);
            return;
          }
          const timeS = chart.data.timesS[idx] ?? 0;
          setHover({ left: plot.valToPos(timeS, "x"), top: plot.valToPos(y, "y"), timeS, series, value });
        },
      ],
      setSelect: [
        (plot) => {
          if (plot.select.width < 5) return;
          const startMs = plot.posToVal(plot.select.left, "x") * 1000;
          const endMs = plot.posToVal(plot.select.left + plot.select.width, "x") * 1000;
          plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          latest.current.onZoom(startMs, endMs);
        },
      ],
      draw: [(plot) => layer.current?.draw(plot)],
    };
    const plot = new uPlot(made, [chart.data.timesS, ...columns] as uPlot.AlignedData, box);
    plotted.current = plot;
    latest.current.canvas.current = plot.ctx.canvas;
    const click = (event: MouseEvent) => {
      const found = layer.current?.at(plot, event.offsetX, event.offsetY);
      if (found) latest.current.onExemplar(found);
    };
    plot.over.addEventListener("click", click);
    const unpan = panning(plot, (byMs) => latest.current.onMove?.(byMs));
    // The first time it tells the size that the plot was made for.
    const sizes = new ResizeObserver(() => {
      const size = { width: box.clientWidth, height: box.clientHeight };
      if (size.width !== plot.width || size.height !== plot.height) plot.setSize(size);
    });
    sizes.observe(box);
    return () => {
      sizes.disconnect();
      unpan();
      plot.destroy();
      setHover(undefined);
    };
  }, [chart, look]);
  return (
    <div class="chart">
      <div ref={place} class="chart-place" />
      {hover ? <Tip hover={hover} plot={plotted.current} name={properties.nameOf(hover.series)} /> : null}
    </div>
  );
}

/** Dragging with Shift moves the times. */
function panning(plot: uPlot, moved: (byMs: number) => void): () => void {
  let from: number | undefined;
  const down = (event: MouseEvent) => {
    if (!event.shiftKey || event.button !== 0) return;
    from = event.offsetX;
    event.stopImmediatePropagation();
  };
  const up = (event: MouseEvent) => {
    if (from === undefined) return;
    const byS = plot.posToVal(from, "x") - plot.posToVal(event.offsetX, "x");
    from = undefined;
    if (Math.abs(byS) > 0) moved(byS * 1000);
  };
  plot.over.addEventListener("mousedown", down, { capture: true });
  plot.over.addEventListener("mouseup", up, { capture: true });
  return () => {
    plot.over.removeEventListener("mousedown", down, { capture: true });
    plot.over.removeEventListener("mouseup", up, { capture: true });
  };
}

function Tip({ hover, plot, name }: { hover: Hover; plot: uPlot | undefined; name: string }) {
  if (!plot) return null;
  const ratio = window.devicePixelRatio || 1;
  const left = hover.left + plot.bbox.left / ratio;
  const top = hover.top + plot.bbox.top / ratio;
  const isRight = left > plot.width / 2;
  return (
    <>
      <span
        class="chart-dot"
        style={{ left: `${left}px`, top: `${top}px`, background: colour(hover.series, isDark()) }}
      />
      <div
        class="chart-tip"
        style={{
          top: `${Math.max(0, top - 20)}px`,
          ...(isRight ? { right: `calc(100% - ${left - 14}px)` } : { left: `${left + 14}px` }),
        }}
      >
        <div class="muted">{formatTime(hover.timeS * 1000, localTime.value)}</div>
        <div class="tip-name">
          <span class="swatch" style={{ background: colour(hover.series, isDark()) }} />
          <span>{name}</span>
        </div>
        <strong>{hover.value}</strong>
      </div>
    </>
  );
}
