import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Answer } from "../../../api/client";
import { ask, messageOf } from "../../../api/client";
import { type ExemplarSeries, hasSeries, type Result, type Series } from "../../../api/results";
import { belowLogarithm, type Column, chartData, colour } from "../../../components/chart/chartdata";
import { type DrawnExemplar, drawnExemplars } from "../../../components/chart/exemplars";
import { Legend } from "../../../components/chart/legend";
import { LineChart } from "../../../components/chart/linechart";
import { Icon } from "../../../components/icon";
import { LabelChips } from "../../../components/labels";
import { Empty } from "../../../components/states";
import { isDark } from "../../../state/preferences";
import { seriesName } from "../../../values/labels";
import { count } from "../../../values/numbers";
import type { Panel, TimeRange } from "../panels/panel";
import { roundedEnd, roundedSpan } from "../panels/zoom";
import { HeatmapChart } from "./heatmap";
import { heatmap } from "./heatmapdata";
import { download, graphCsv, heatmapCsv, picture } from "./share";

export interface Graph {
  times: TimeRange;
  answer: Answer<Result>;
  tookMs: number;
}

interface Properties {
  panel: Panel;
  graph: Graph;
  onZoom: (times: Pick<Panel, "endMs" | "rangeMs">) => void;
  onUnzoom: (() => void) | undefined;
}

const DRAWN_MAX = 1000;

interface Exemplars {
  exemplars: readonly DrawnExemplar[];
  said: string;
}

// Always the same one: another would have the chart made anew.
const NO_EXEMPLARS: Exemplars = { exemplars: [], said: "" };

/** Exemplars of what is asked, where somebody wants them. */
function useExemplars(panel: Panel, times: TimeRange): Exemplars {
  const [state, setState] = useState(NO_EXEMPLARS);
  useEffect(() => {
    if (!panel.exemplars) {
      setState(NO_EXEMPLARS);
      return undefined;
    }
    const ending = new AbortController();
    const parameters = { query: panel.expression, start: times.startMs / 1000, end: times.endMs / 1000 };
    ask<ExemplarSeries[]>("/query_exemplars", parameters, { signal: ending.signal, post: true }).then(
      (answer) => {
        const exemplars = drawnExemplars(answer.data);
        setState({
          exemplars,
          said: exemplars.length ? "" : "There are no exemplars of this in these times.",
        });
      },
      (error: unknown) => {
        if (!ending.signal.aborted) setState({ exemplars: [], said: messageOf(error) });
      },
    );
    return () => ending.abort();
  }, [panel.exemplars, panel.expression, times]);
  return state;
}

function ExemplarDetail({ exemplar, onClose }: { exemplar: DrawnExemplar; onClose: () => void }) {
  return (
    <div class="notice info">
      <span>
        Exemplar <strong>{exemplar.value}</strong> of <code>{seriesName(exemplar.series)}</code>
      </span>
      <LabelChips labels={exemplar.labels} />
      <button type="button" class="plain" aria-label="Close" onClick={onClose}>
        <Icon name="close" />
      </button>
    </div>
  );
}

interface LineProperties extends Properties {
  series: readonly Series[];
  canvas: { current: HTMLCanvasElement | null };
}

function Lines({ panel, graph, onZoom, series, canvas }: LineProperties) {
  const { times } = graph;
  const { exemplars, said } = useExemplars(panel, times);
  const [chosen, setChosen] = useState<DrawnExemplar | undefined>();
  const data = useMemo(() => chartData(series, times.startMs, times.endMs, times.stepMs), [series, times]);
  const names = useMemo(() => series.map((each) => seriesName(each.metric)), [series]);
  const [shown, setShown] = useState<boolean[]>([]);
  const visible = shown.length === names.length ? shown : names.map(() => true);
  const key = visible.map(Number).join("");
  const chart = useMemo(
    () => ({
      data,
      shown: visible,
      isStacked: panel.mode === "stacked",
      isLog: panel.isLog,
      yMin: panel.yMin,
      exemplars,
    }),
    [data, key, panel.mode, panel.isLog, panel.yMin, exemplars],
  );
  return (
    <>
      <LineChart
        chart={chart}
        canvas={canvas}
        nameOf={(at) => names[at] ?? ""}
        onExemplar={setChosen}
        onZoom={(startMs, endMs) => onZoom(roundedSpan(startMs, endMs))}
        onMove={(byMs) =>
          onZoom({ endMs: roundedEnd(times.endMs + byMs, panel.rangeMs), rangeMs: panel.rangeMs })
        }
      />
      {said ? <p class="muted">{said}</p> : null}
      {chosen ? <ExemplarDetail exemplar={chosen} onClose={() => setChosen(undefined)} /> : null}
      <DrawingNotes series={series} columns={data.columns} isLog={panel.isLog} />
      <Legend names={names} columns={data.columns} shown={visible} onShow={setShown} />
      <div class="row">
        <button
          type="button"
          class="plain"
          onClick={() => download("graph.csv", new Blob([graphCsv(data, names)], { type: "text/csv" }))}
        >
          <Icon name="download" />
          CSV
        </button>
        <PictureButton
          canvas={canvas}
          title={panel.expression}
          names={names.flatMap((name, at) => (visible[at] ? [{ name, colour: colour(at, isDark()) }] : []))}
        />
        <span class="muted">Drag to zoom, drag with Shift to move.</span>
      </div>
    </>
  );
}

/** What a drawing of lines leaves out, or shows as something else. */
function DrawingNotes({
  series,
  columns,
  isLog,
}: {
  series: readonly Series[];
  columns: readonly Column[];
  isLog: boolean;
}) {
  const histograms = series.filter((each) => each.histograms?.length).length;
  const below = useMemo(() => (isLog ? belowLogarithm(columns) : 0), [columns, isLog]);
  return (
    <>
      {histograms ? (
        <p class="notice info">
          {histograms === 1 ? "A native histogram is" : `${count(histograms)} native histograms are`} drawn as
          the sum of what was observed. Heatmap shows the buckets.
        </p>
      ) : null}
      {below ? (
        <p class="notice info">
          {count(below)} {below === 1 ? "sample is" : "samples are"} zero or below, where a logarithmic axis
          has no place.
        </p>
      ) : null}
    </>
  );
}

function PictureButton({
  canvas,
  title,
  names,
}: {
  canvas: { current: HTMLCanvasElement | null };
  title: string;
  names: readonly { name: string; colour: string }[];
}) {
  const take = async () => {
    const blob = canvas.current ? await picture(canvas.current, title, names) : null;
    if (blob) download("graph.png", blob);
  };
  return (
    <button type="button" class="plain" onClick={take}>
      <Icon name="download" />
      PNG
    </button>
  );
}

function Heat({ graph, series, panel, canvas }: LineProperties) {
  const map = useMemo(() => heatmap(series, graph.times), [series, graph.times]);
  if (!map) {
    return (
      <Empty title="No histograms in this result">
        A heatmap needs native histograms, or classic buckets with their label <code>le</code>, such as{" "}
        <code>sum by (le) (rate(request_duration_seconds_bucket[5m]))</code>.
      </Empty>
    );
  }
  return (
    <>
      <HeatmapChart map={map} canvas={canvas} />
      {map.leftOut ? (
        <p class="notice info">
          {count(map.leftOut)} {map.leftOut === 1 ? "series is" : "series are"} without buckets, and not in
          the heatmap.
        </p>
      ) : null}
      <div class="row">
        <button
          type="button"
          class="plain"
          onClick={() => download("heatmap.csv", new Blob([heatmapCsv(map)], { type: "text/csv" }))}
        >
          <Icon name="download" />
          CSV
        </button>
        <PictureButton canvas={canvas} title={panel.expression} names={[]} />
      </div>
    </>
  );
}

/** The result of a range query as a graph. */
export function GraphView(properties: Properties) {
  const { panel, graph } = properties;
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const [isWhole, setWhole] = useState(false);
  const result = graph.answer.data;
  const all = hasSeries(result) ? result.result : [];
  const series = useMemo(() => (isWhole ? all : all.slice(0, DRAWN_MAX)), [all, isWhole]);
  if (!hasSeries(result)) {
    return (
      <Empty title="Nothing to draw">
        A {result.resultType} has one value: <code>{result.result[1]}</code>
      </Empty>
    );
  }
  if (!all.length) return <Empty title="No series">Nothing that is stored matches in these times.</Empty>;
  const isHeat = panel.mode === "heatmap";
  return (
    <>
      <p class="muted result-line">
        {all.length === 1 ? "1 series" : `${count(all.length)} series`} in {graph.tookMs} ms
        {all.length > series.length ? (
          <>
            , of which {count(series.length)} are drawn.{" "}
            <button type="button" class="plain" onClick={() => setWhole(true)}>
              Draw all
            </button>
          </>
        ) : null}
        {properties.onUnzoom ? (
          <button type="button" class="plain" onClick={properties.onUnzoom}>
            Reset zoom
          </button>
        ) : null}
      </p>
      {isHeat ? (
        <Heat {...properties} series={series} canvas={canvas} />
      ) : (
        <Lines {...properties} series={series} canvas={canvas} />
      )}
    </>
  );
}
