import { useMemo, useState } from "preact/hooks";
import { type HistogramValue, hasSeries, type Result, type Series } from "../../../api/results";
import { Badge } from "../../../components/badge";
import { SeriesLabels } from "../../../components/code/serieslabels";
import { CopyButton } from "../../../components/controls/copy";
import { Empty } from "../../../components/states";
import { type Column, DataTable } from "../../../components/tables/table";
import { localTime } from "../../../state/preferences";
import { seriesName } from "../../../values/labels";
import { count, parseNumber, rounded } from "../../../values/numbers";
import { formatTime } from "../../../values/time/times";
import { HistogramBars, histogramText, shortHistogramText } from "./histogrambars";

interface Row {
  name: string;
  series: Series;
}

const POINTS_SHOWN = 50;

function last(series: Series): HistogramValue | undefined {
  return series.histogram?.[1] ?? series.histograms?.[series.histograms.length - 1]?.[1];
}

/** All samples of a range vector, the first ones until somebody asks for the rest. */
function Points({ series }: { series: Series }) {
  const [isWhole, setWhole] = useState(false);
  const points: [number, string][] = [
    ...(series.values ?? []),
    ...(series.histograms ?? []).map(([timeS, histogram]): [number, string] => [
      timeS,
      histogramText(histogram),
    ]),
  ].sort((a, b) => a[0] - b[0]);
  const shown = isWhole ? points : points.slice(0, POINTS_SHOWN);
  return (
    <div class="points">
      {shown.map(([timeS, text]) => (
        <div key={timeS}>
          {text} <span class="muted">@ {formatTime(timeS * 1000, localTime.value)}</span>
        </div>
      ))}
      {points.length > shown.length ? (
        <button type="button" class="plain" onClick={() => setWhole(true)}>
          Show all {count(points.length)}
        </button>
      ) : null}
    </div>
  );
}

/** A value with the digits that people read; all of them on hover, and to whoever copies it. */
function ShortValue({ text, shown }: { text: string; shown: string }) {
  const copy = (event: ClipboardEvent) => {
    if (window.getSelection()?.toString().trim() !== shown) return;
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
  };
  return (
    <span class="value" title={text === shown ? undefined : text} onCopy={copy}>
      {shown}
    </span>
  );
}

function Value({ series }: { series: Series }) {
  if (series.value) return <ShortValue text={series.value[1]} shown={rounded(series.value[1])} />;
  if (series.histogram) {
    const [, histogram] = series.histogram;
    return <ShortValue text={histogramText(histogram)} shown={shortHistogramText(histogram)} />;
  }
  return <Points series={series} />;
}

function sortValue(series: Series): number {
  if (series.value) return parseNumber(series.value[1]);
  return parseNumber(last(series)?.count ?? series.values?.[series.values.length - 1]?.[1] ?? "0");
}

const COLUMNS: readonly Column<Row>[] = [
  {
    name: "series",
    title: "Series",
    width: "minmax(0, 1fr)",
    cell: (row) => (
      <span class="series-cell">
        <SeriesLabels labels={row.series.metric} />
        <CopyButton text={row.name} label="Copy the series" />
      </span>
    ),
    sort: (row) => row.name,
  },
  {
    name: "value",
    title: "Value",
    width: "minmax(8rem, 22rem)",
    cell: (row) => <Value series={row.series} />,
    sort: (row) => sortValue(row.series),
    isNumber: true,
  },
];

function Detail({ row }: { row: Row }) {
  const histogram = last(row.series);
  return histogram ? <HistogramBars histogram={histogram} /> : <p class="muted">No buckets.</p>;
}

function SeriesTable({ series }: { series: readonly Series[] }) {
  const rows = useMemo(
    () => series.map((each) => ({ name: seriesName(each.metric), series: each })),
    [series],
  );
  const hasHistograms = series.some((each) => last(each));
  return (
    <DataTable
      label="Result"
      columns={COLUMNS}
      rows={rows}
      keyOf={(row) => row.name}
      {...(hasHistograms ? { detail: (row: Row) => <Detail row={row} /> } : {})}
    />
  );
}

/** The result of an instant query. */
export function TableView({ result, tookMs }: { result: Result; tookMs: number }) {
  if (!hasSeries(result)) {
    return (
      <p class="scalar">
        <Badge>{result.resultType}</Badge> <code>{result.result[1]}</code>
      </p>
    );
  }
  const number = result.result.length;
  if (!number) {
    return (
      <Empty title="No series">
        Nothing that is stored matches at this time. Look for the metric under Explore, or choose another
        time.
      </Empty>
    );
  }
  return (
    <>
      <p class="muted result-line">
        {number === 1 ? "1 series" : `${count(number)} series`} in {tookMs} ms
      </p>
      <SeriesTable series={result.result} />
    </>
  );
}
