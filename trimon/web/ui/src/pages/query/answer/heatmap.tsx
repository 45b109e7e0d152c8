import { useEffect, useRef, useState } from "preact/hooks";
import { isDark, localTime } from "../../../state/preferences";
import { spaced } from "../../../values/bucketaxis";
import { short, shorts } from "../../../values/numbers";
import { formatTime } from "../../../values/time/times";
import type { Heatmap, Row } from "./heatmapdata";
import { timeTicks } from "./timeticks";

interface Properties {
  map: Heatmap;
  canvas: { current: HTMLCanvasElement | null };
}

interface Hover {
  left: number;
  top: number;
  timeS: number;
  row: Row;
  value: number;
}

const LEFT_PX = 70;
const BOTTOM_PX = 28;
const TICK_PX = 24;

interface Frame {
  width: number;
  height: number;
  cellWidth: number;
}

function frameOf(map: Heatmap, widthPx: number, heightPx: number): Frame {
  const width = Math.max(10, widthPx - LEFT_PX);
  const height = Math.max(10, heightPx - BOTTOM_PX);
  return {
    width,
    height,
    cellWidth: width / map.timesS.length,
  };
}

function variable(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** How dark a share of the most is. Few are seen beside many: the root lies between a count and its logarithm. */
function shade(share: number): number {
  return 0.08 + 0.92 * Math.sqrt(share);
}

function drawCells(ctx: CanvasRenderingContext2D, map: Heatmap, frame: Frame): void {
  ctx.fillStyle = variable("--accent");
  map.cells.forEach((column, x) => {
    column.forEach((value, y) => {
      if (!value) return;
      ctx.globalAlpha = shade(value / map.most);
      const left = LEFT_PX + Math.floor(x * frame.cellWidth);
      const right = LEFT_PX + Math.floor((x + 1) * frame.cellWidth);
      const top = Math.floor(frame.height * (1 - (map.edges[y + 1] ?? 1)));
      const bottom = Math.floor(frame.height * (1 - (map.edges[y] ?? 0)));
      ctx.fillRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
    });
  });
  ctx.globalAlpha = 1;
}

/** Bounds of native histograms are powers of roots: three digits of them say enough. */
function axisNumbers(values: readonly number[]): string[] {
  return shorts(values.map((value) => (Number.isFinite(value) ? Number(value.toPrecision(3)) : value)));
}

function drawAxes(ctx: CanvasRenderingContext2D, map: Heatmap, frame: Frame): void {
  ctx.fillStyle = variable("--muted");
  ctx.font = `12px ${variable("--sans")}`;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  const bounds = [map.rows[0]?.low ?? 0, ...map.rows.map((row) => row.high)];
  const labelled = spaced(map.edges, TICK_PX / frame.height);
  const texts = axisNumbers(labelled.map((at) => bounds[at] ?? 0));
  labelled.forEach((at, place) => {
    const y = frame.height * (1 - (map.edges[at] ?? 0));
    ctx.fillText(texts[place] ?? "", LEFT_PX - 8, Math.min(frame.height - 6, Math.max(8, y)));
  });
  ctx.textAlign = "center";
  ctx.textBaseline = "bottom";
  const [fromS = 0] = map.timesS;
  const toS = map.timesS[map.timesS.length - 1] ?? fromS;
  const stepS = map.timesS.length > 1 ? (toS - fromS) / (map.timesS.length - 1) : 1;
  for (const tick of timeTicks(fromS, toS, Math.floor(frame.width / 110), localTime.value)) {
    const x = LEFT_PX + ((tick.timeS - fromS) / stepS + 0.5) * frame.cellWidth;
    const half = ctx.measureText(tick.text).width / 2;
    const inside = Math.min(LEFT_PX + frame.width - half, Math.max(LEFT_PX + half, x));
    ctx.fillText(tick.text, inside, frame.height + BOTTOM_PX - 4);
    ctx.fillRect(Math.round(x), frame.height, 1, 5);
  }
}

const SHADES = [0, 0.02, 0.1, 0.25, 0.5, 0.75, 1];

/** Which colour is how many. */
function ColourScale({ most }: { most: number }) {
  const steps = SHADES.map((share) => {
    const percent = share === 0 ? 0 : Math.round(shade(share) * 100);
    return `color-mix(in srgb, var(--accent) ${percent}%, transparent) ${share * 100}%`;
  });
  return (
    <div class="colour-scale muted" role="img" aria-label={`Colours from 0 to ${short(most)}`}>
      <span>0</span>
      <span class="colour-strip" style={{ background: `linear-gradient(to right, ${steps.join(", ")})` }} />
      <span>{short(most)}</span>
    </div>
  );
}

/** How many fell where and when: the darker a cell, the more. */
export function HeatmapChart({ map, canvas }: Properties) {
  const box = useRef<HTMLCanvasElement>(null);
  const [[widthPx, heightPx], setSize] = useState<readonly [number, number]>([0, 0]);
  const [hover, setHover] = useState<Hover | undefined>();
  const look = `${isDark()} ${localTime.value}`;
  useEffect(() => {
    const element = box.current?.parentElement;
    if (!element) return undefined;
    const sizes = new ResizeObserver(() => setSize([element.clientWidth, element.clientHeight]));
    sizes.observe(element);
    return () => sizes.disconnect();
  }, []);
  useEffect(() => {
    const element = box.current;
    const ctx = element?.getContext("2d");
    if (!element || !ctx || !widthPx) return;
    canvas.current = element;
    const ratio = window.devicePixelRatio || 1;
    element.width = widthPx * ratio;
    element.height = heightPx * ratio;
    ctx.scale(ratio, ratio);
    const frame = frameOf(map, widthPx, heightPx);
    drawCells(ctx, map, frame);
    drawAxes(ctx, map, frame);
  }, [map, widthPx, heightPx, look, canvas]);
  const point = (event: MouseEvent) => {
    const frame = frameOf(map, widthPx, heightPx);
    const at = Math.floor((event.offsetX - LEFT_PX) / frame.cellWidth);
    const share = 1 - event.offsetY / frame.height;
    const place = share < 0 ? -1 : map.edges.findIndex((edge) => edge > share) - 1;
    const row = map.rows[place];
    const value = map.cells[at]?.[place];
    setHover(
      row && value !== undefined
        ? { left: event.offsetX, top: event.offsetY, timeS: map.timesS[at] ?? 0, row, value }
        : undefined,
    );
  };
  return (
    <>
      <div class="chart">
        <canvas
          ref={box}
          class="heatmap"
          role="img"
          aria-label={`Heatmap of ${map.rows.length} value ranges over ${map.timesS.length} times`}
          onMouseMove={point}
          onMouseLeave={() => setHover(undefined)}
        />
        {hover ? (
          <div
            class="chart-tip"
            style={{
              top: `${Math.max(0, hover.top - 20)}px`,
              ...(hover.left > widthPx / 2
                ? { right: `${widthPx - hover.left + 14}px` }
                : { left: `${hover.left + 14}px` }),
            }}
          >
            <div class="muted">{formatTime(hover.timeS * 1000, localTime.value)}</div>
            <div>
              {short(hover.row.low)} to {short(hover.row.high)}
            </div>
            <strong>{short(hover.value)}</strong>
          </div>
        ) : null}
      </div>
      <ColourScale most={map.most} />
    </>
  );
}
