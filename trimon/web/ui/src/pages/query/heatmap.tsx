import { useEffect, useRef, useState } from "preact/hooks";
import { isDark, localTime } from "../../app/preferences";
import { short } from "../../values/numbers";
import { formatTime } from "../../values/times";
import type { Heatmap, Row } from "./heatmapdata";

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
  cellHeight: number;
}

function frameOf(map: Heatmap, widthPx: number, heightPx: number): Frame {
  const width = Math.max(10, widthPx - LEFT_PX);
  const height = Math.max(10, heightPx - BOTTOM_PX);
  return {
    width,
    height,
    cellWidth: width / map.timesS.length,
    cellHeight: height / Math.max(1, map.rows.length),
  };
}

function variable(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function drawCells(ctx: CanvasRenderingContext2D, map: Heatmap, frame: Frame): void {
  ctx.fillStyle = variable("--accent");
  map.cells.forEach((column, x) => {
    column.forEach((value, y) => {
      if (!value) return;
      // Few are seen beside many: the root lies between a count and its logarithm.
      ctx.globalAlpha = 0.08 + 0.92 * Math.sqrt(value / map.most);
      const left = LEFT_PX + Math.floor(x * frame.cellWidth);
      const right = LEFT_PX + Math.floor((x + 1) * frame.cellWidth);
      const top = Math.floor(frame.height - (y + 1) * frame.cellHeight);
      const bottom = Math.floor(frame.height - y * frame.cellHeight);
      ctx.fillRect(left, top, Math.max(1, right - left), Math.max(1, bottom - top));
    });
  });
  ctx.globalAlpha = 1;
}

/** Bounds of native histograms are powers of roots: three digits of them say enough. */
function axisNumber(value: number): string {
  return short(Number.isFinite(value) ? Number(value.toPrecision(3)) : value);
}

function drawAxes(ctx: CanvasRenderingContext2D, map: Heatmap, frame: Frame): void {
  ctx.fillStyle = variable("--muted");
  ctx.font = `12px ${variable("--sans")}`;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  const every = Math.max(1, Math.ceil(TICK_PX / frame.cellHeight));
  for (let row = 0; row < map.rows.length; row += every) {
    const y = frame.height - (row + 1) * frame.cellHeight;
    ctx.fillText(axisNumber(map.rows[row]?.high ?? 0), LEFT_PX - 8, Math.max(8, y));
  }
  ctx.textAlign = "center";
  ctx.textBaseline = "bottom";
  const ticks = Math.max(1, Math.floor(frame.width / 150));
  for (let tick = 0; tick <= ticks; tick++) {
    const at = Math.round((tick * (map.timesS.length - 1)) / ticks);
    const x = LEFT_PX + (at + 0.5) * frame.cellWidth;
    const text = formatTime((map.timesS[at] ?? 0) * 1000, localTime.value).slice(5, 16);
    ctx.fillText(
      text,
      Math.min(LEFT_PX + frame.width - 50, Math.max(LEFT_PX + 50, x)),
      frame.height + BOTTOM_PX - 4,
    );
  }
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
    const place = Math.floor((frame.height - event.offsetY) / frame.cellHeight);
    const row = map.rows[place];
    const value = map.cells[at]?.[place];
    setHover(
      row && value !== undefined
        ? { left: event.offsetX, top: event.offsetY, timeS: map.timesS[at] ?? 0, row, value }
        : undefined,
    );
  };
  return (
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
  );
}
