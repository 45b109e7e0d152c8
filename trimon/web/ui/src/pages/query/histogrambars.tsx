import { useState } from "preact/hooks";
import { Choice } from "../../components/choice";
import { count, parseNumber, short } from "../../values/numbers";
import type { Bucket, HistogramValue } from "./results";

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

type Widths = "equal" | "linear";

function widthOf(bucket: Bucket, widths: Widths): number {
  if (widths === "equal") return 1;
  const size = parseNumber(bucket[2]) - parseNumber(bucket[1]);
  return Number.isFinite(size) && size > 0 ? size : 0;
}

/** How high a bar is: with equal widths the count, else the count by the width, so that areas are counts. */
function heightOf(bucket: Bucket, widths: Widths): number {
  const value = parseNumber(bucket[3]);
  if (widths === "equal") return value;
  const width = widthOf(bucket, widths);
  return width ? value / width : 0;
}

/** The buckets of a native histogram as bars. */
export function HistogramBars({ histogram }: { histogram: HistogramValue }) {
  const [widths, setWidths] = useState<Widths>("equal");
  const buckets = histogram.buckets ?? [];
  if (!buckets.length) return <p class="muted">The histogram has no buckets: nothing was observed.</p>;
  const total = parseNumber(histogram.count);
  const most = Math.max(...buckets.map((bucket) => heightOf(bucket, widths)), Number.MIN_VALUE);
  const wide = buckets.reduce((sum, bucket) => sum + widthOf(bucket, widths), 0) || 1;
  return (
    <div class="histogram">
      <div class="row">
        <span>
          count <strong>{short(total)}</strong>, sum <strong>{short(parseNumber(histogram.sum))}</strong>,
          average <strong>{total ? short(parseNumber(histogram.sum) / total) : "–"}</strong>
        </span>
        <Choice
          label="Widths of bars"
          value={widths}
          choices={[
            ["equal", "Equal bars"],
            ["linear", "To scale"],
          ]}
          onChange={setWidths}
        />
      </div>
      <div class="histogram-bars" role="img" aria-label={`${buckets.length} buckets`}>
        {buckets.map((bucket) => (
          <span
            key={bucketRange(bucket)}
            class="histogram-bar"
            title={`${bucketRange(bucket)}: ${bucket[3]}`}
            style={{
              width: `${(100 * widthOf(bucket, widths)) / wide}%`,
              height: `${(100 * heightOf(bucket, widths)) / most}%`,
            }}
          />
        ))}
      </div>
      <div class="histogram-ends muted">
        <span>{buckets[0]?.[1]}</span>
        <span>{buckets[buckets.length - 1]?.[2]}</span>
      </div>
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
