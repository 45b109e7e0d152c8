/** Exemplars as diamonds on a chart, and which one is under the pointer. */

import type uPlot from "uplot";
import type { ExemplarSeries } from "../../api/results";
import type { Labels } from "../../values/labels";
import { parseNumber } from "../../values/numbers";

export interface DrawnExemplar {
  timeS: number;
  value: number;
  labels: Labels;
  series: Labels;
}

const SIZE_PX = 4;
const NEAR_PX = 8;
const DRAWN_MAX = 2000;

/** The exemplars of an answer, a bounded number: of more every so many-th. */
export function drawnExemplars(found: readonly ExemplarSeries[]): DrawnExemplar[] {
  const all = found.flatMap((each) =>
    each.exemplars.map((exemplar) => ({
      timeS: exemplar.timestamp,
      value: parseNumber(exemplar.value),
      labels: exemplar.labels,
      series: each.seriesLabels,
    })),
  );
  const every = Math.ceil(all.length / DRAWN_MAX);
  return all.filter((exemplar, at) => Number.isFinite(exemplar.value) && at % Math.max(1, every) === 0);
}

export class ExemplarLayer {
  readonly exemplars: readonly DrawnExemplar[];
  private readonly unit: number;
  /** The axis has its values divided by the unit. */
  constructor(exemplars: readonly DrawnExemplar[], unit: number) {
    this.exemplars = exemplars;
    this.unit = unit;
  }

  /** Draws them above the lines; those beyond the axis stand at its edge. */
  draw(plot: uPlot): void {
    if (!this.exemplars.length) return;
    const { ctx } = plot;
    const ratio = window.devicePixelRatio || 1;
    const size = SIZE_PX * ratio;
    ctx.save();
    ctx.fillStyle = getComputedStyle(plot.root).getPropertyValue("--warn");
    ctx.strokeStyle = getComputedStyle(plot.root).getPropertyValue("--surface");
    for (const exemplar of this.exemplars) {
      const x = plot.valToPos(exemplar.timeS, "x", true);
      const y = this.inside(plot, plot.valToPos(exemplar.value / this.unit, "y", true));
      ctx.beginPath();
      ctx.moveTo(x, y - size);
      ctx.lineTo(x + size, y);
      ctx.lineTo(x, y + size);
      ctx.lineTo(x - size, y);
      ctx.closePath();
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
  }

  private inside(plot: uPlot, y: number): number {
    return Math.min(plot.bbox.top + plot.bbox.height, Math.max(plot.bbox.top, y));
  }

  /** The one under a point of the plot, in CSS pixels. */
  at(plot: uPlot, left: number, top: number): DrawnExemplar | undefined {
    const height = plot.bbox.height / (window.devicePixelRatio || 1);
    return this.exemplars.find((exemplar) => {
      const y = Math.min(height, Math.max(0, plot.valToPos(exemplar.value / this.unit, "y")));
      return Math.abs(plot.valToPos(exemplar.timeS, "x") - left) < NEAR_PX && Math.abs(y - top) < NEAR_PX;
    });
  }
}
