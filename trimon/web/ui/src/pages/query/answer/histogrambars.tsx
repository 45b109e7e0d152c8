import { useState } from "preact/hooks";
import type { Bucket, HistogramValue } from "../../../api/results";
import { Choice } from "../../../components/controls/choice";
import { type AxisKind, bucketAxis, spaced } from "../../../values/bucketaxis";
import { count, parseNumber, rounded, short, shorts } from "../../../values/numbers";
import { boundsOf } from "./heatmapdata";

const RULES = ["(]", "[)", "()", "[]"];

/** A bucket's range as mathematics has it. */
export function bucketRange([rule, low, high]: Bucket): string {
  const [open, close] = (RULES[rule] ?? "(]").split("");
  return `${open}${low}, ${high}${close}`;
}

/** A histogram in one line. */
export function histogramText(histogram: HistogramValue): string {
  return `count ${histogram.count}, sum ${histogram.sum}`;
}

/** The same with fewer digits. */
export function shortHistogramText(histogram: HistogramValue): string {
  return `count ${rounded(histogram.count)}, sum ${rounded(histogram.sum)}`;
}

/** How high a bar is: the count; on a linear axis the count by the width, so that areas are counts. */
function heightOf(bucket: Bucket, kind: AxisKind): number {
  const value = parseNumber(bucket[3]);
  if (kind === "exponential") return value;
  const width = parseNumber(bucket[2]) - parseNumber(bucket[1]);
  return Number.isFinite(width) && width > 0 ? value / width : 0;
}

// Labels of bounds stand so far from one another.
const LABEL_SHARE = 0.11;

function Ticks({ buckets, place }: { buckets: readonly Bucket[]; place: (bound: number) => number }) {
  const bounds = [...new Set(buckets.flatMap(([, low, high]) => [parseNumber(low), parseNumber(high)]))];
  bounds.sort((a, b) => a - b);
  const shown = spaced(bounds.map(place), LABEL_SHARE).map((at) => bounds[at] ?? 0);
  const texts = shorts(shown.map((bound) => Number(bound.toPrecision(3))));
  return (
    <div class="histogram-ticks muted" aria-hidden="true">
      {shown.map((bound, at) => (
        <span key={bound} style={{ left: `${100 * place(bound)}%` }}>
          {texts[at]}
        </span>
      ))}
    </div>
  );
}

/** The buckets of a native histogram as bars. */
export function HistogramBars({ histogram }: { histogram: HistogramValue }) {
  const [kind, setKind] = useState<AxisKind>("exponential");
  const buckets = histogram.buckets ?? [];
  if (!buckets.length) return <p class="muted">The histogram has no buckets: nothing was observed.</p>;
  const total = parseNumber(histogram.count);
  const most = Math.max(...buckets.map((bucket) => heightOf(bucket, kind)), Number.MIN_VALUE);
  const place = bucketAxis(buckets.map(boundsOf), kind);
  return (
    <div class="histogram">
      <div class="row">
        <span>
          count <strong>{short(total)}</strong>, sum <strong>{short(parseNumber(histogram.sum))}</strong>,
          average <strong>{total ? short(parseNumber(histogram.sum) / total) : "–"}</strong>
        </span>
        <Choice
          label="Axis"
          value={kind}
          choices={[
            ["exponential", "Exponential"],
            ["linear", "Linear"],
          ]}
          onChange={setKind}
        />
      </div>
      <div class="histogram-bars" role="img" aria-label={`${buckets.length} buckets`}>
        {buckets.map((bucket) => (
          <span
            key={bucketRange(bucket)}
            class="histogram-bar"
            title={`${bucketRange(bucket)}: ${bucket[3]}`}
            style={{
              left: `${100 * place(parseNumber(bucket[1]))}%`,
              width: `${100 * (place(parseNumber(bucket[2])) - place(parseNumber(bucket[1])))}%`,
              height: `${(100 * heightOf(bucket, kind)) / most}%`,
            }}
          />
        ))}
      </div>
      <Ticks buckets={buckets} place={place} />
      <details>
        <summary>{count(buckets.length)} buckets</summary>
        <table class="plain-table">
          <thead>
            <tr>
              <th>Range</th>
              <th class="number">Count</th>
            </tr>
          </thead>
          <tbody>
            {buckets.map((bucket) => (
              <tr key={bucketRange(bucket)}>
                <td>
                  <code>{bucketRange(bucket)}</code>
                </td>
                <td class="number">{bucket[3]}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </div>
  );
}
