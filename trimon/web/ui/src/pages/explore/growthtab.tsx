import { useMemo, useRef, useState } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { hasSeries, type Result } from "../../api/results";
import { chartData } from "../../components/chart/chartdata";
import { Legend } from "../../components/chart/legend";
import { LineChart } from "../../components/chart/linechart";
import { Choice } from "../../components/controls/choice";
import { Panel } from "../../components/layout/page";
import { Empty, Loaded } from "../../components/states";
import { quoted, seriesName } from "../../values/labels";
import { formatDuration } from "../../values/time/durations";
import "../../styles/query.css";

const POINTS = 120;
const TOP = 10;
// Of so many metrics with most series those are found that take most bytes.
const CANDIDATES = 40;
type Span = "3600" | "21600" | "86400" | "604800";

interface Growth {
  title: string;
  about: string;
  /** What is counted, as an expression. */
  counted: (selector: string) => string;
  metric: string;
  /** The label that the largest are found by again. */
  label: string;
}

const QUESTIONS = {
  metric: {
    title: "Series of each metric",
    about: `The ${TOP} metrics with most series now.`,
    counted: (selector: string) => `count by (__name__) (${selector})`,
    metric: "",
    label: "__name__",
  },
  job: {
    title: "Series of each job",
    about: `The ${TOP} jobs with most series now.`,
    counted: (selector: string) => `count by (job) (${selector})`,
    metric: "",
    label: "job",
  },
  target: {
    title: "Samples of each target",
    about: `The ${TOP} targets with most samples a scrape now.`,
    counted: (selector: string) => `max by (job, instance) (${selector})`,
    metric: "scrape_samples_post_metric_relabeling",
    label: "instance",
  },
  churn: {
    title: "New series of each target, an hour",
    about: `The ${TOP} targets that made most new series in the last hour.`,
    counted: (selector: string) => `sum by (job, instance) (sum_over_time(${selector}[1h])) > 0`,
    metric: "scrape_series_added",
    label: "instance",
  },
} as const satisfies Record<string, Growth>;

const BYTES = {
  title: "Bytes of each metric, an hour",
  about: `The ${TOP} metrics that took most disk in the last hour, of the ${CANDIDATES} with most series.`,
};

/** A selector of a metric, or of all, with one more condition. */
function selectorOf(question: Growth, condition: string): string {
  return `${question.metric}{${condition || (question.metric ? "" : '__name__=~".+"')}}`;
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

interface Times {
  startMs: number;
  endMs: number;
  stepMs: number;
}

/** The largest at the end, and what each had at every step: lines are whole, and there are no more than asked for. */
async function grown(question: Growth, times: Times, signal: AbortSignal): Promise<Result> {
  const top = `topk(${TOP}, ${question.counted(selectorOf(question, ""))})`;
  const found = await ask<Result>("/query", { query: top, time: times.endMs / 1000 }, { signal, post: true });
  const largest = hasSeries(found.data)
    ? found.data.result.map((each) => each.metric[question.label] ?? "")
    : [];
  if (!largest.length) return found.data;
  const condition = `${question.label}=~${quoted([...new Set(largest)].map(escaped).join("|"))}`;
  const parameters = {
    query: question.counted(selectorOf(question, condition)),
    start: times.startMs / 1000,
    end: times.endMs / 1000,
    step: times.stepMs / 1000,
  };
  return (await ask<Result>("/query_range", parameters, { signal, post: true })).data;
}

/** How many bytes a sample takes on disk: in the blocks, or in the log while there is none. */
async function bytesOfSample(signal: AbortSignal): Promise<number> {
  const [storage, blocks] = await Promise.all([
    ask<{ figures: Record<string, number> }>("/status/storage", {}, { signal }),
    ask<{ blocks: { stats?: { numSamples?: number } }[] }>("/status/tsdb/blocks", {}, { signal }),
  ]);
  const { blocks_bytes = 0, wal_bytes = 0, head_samples = 0 } = storage.data.figures;
  const samples = blocks.data.blocks.reduce((sum, block) => sum + (block.stats?.numSamples ?? 0), 0);
  return samples ? blocks_bytes / samples : wal_bytes / Math.max(1, head_samples);
}

/** What the samples of each metric took in the hour before every step: of those with most series, those with most bytes. */
async function grownBytes(sampleBytes: number, times: Times, signal: AbortSignal): Promise<Result> {
  const tsdb = await ask<{ seriesCountByMetricName: { name: string }[] }>(
    "/status/tsdb",
    { limit: CANDIDATES },
    { signal },
  );
  const names = tsdb.data.seriesCountByMetricName.map(({ name }) => name);
  // A name is lost with the first function, so each metric is asked for by itself.
  const ofMetric = (name: string) =>
    `label_replace(${sampleBytes.toPrecision(3)} * sum(count_over_time({__name__=${quoted(name)}}[1h])), "metric", ${quoted(name.replaceAll("$", "$$$$"))}, "", "")`;
  const all = (of: readonly string[]) => of.map(ofMetric).join(" or ");
  if (!names.length) return { resultType: "matrix", result: [] };
  const top = `topk(${TOP}, ${all(names)})`;
  const found = await ask<Result>("/query", { query: top, time: times.endMs / 1000 }, { signal, post: true });
  const largest = hasSeries(found.data) ? found.data.result.map((each) => each.metric.metric ?? "") : [];
  if (!largest.length) return found.data;
  const parameters = {
    query: all(largest),
    start: times.startMs / 1000,
    end: times.endMs / 1000,
    step: times.stepMs / 1000,
  };
  const { data } = await ask<Result>("/query_range", parameters, { signal, post: true });
  if (!hasSeries(data)) return data;
  const result = data.result.map((each) => ({ ...each, metric: { __name__: each.metric.metric ?? "" } }));
  return { ...data, result };
}

type Question = keyof typeof QUESTIONS | "bytes";

function Chart({
  result,
  startMs,
  endMs,
  stepMs,
}: {
  result: Result;
  startMs: number;
  endMs: number;
  stepMs: number;
}) {
  const canvas = useRef<HTMLCanvasElement | null>(null);
  const series = hasSeries(result) ? result.result : [];
  const data = useMemo(() => chartData(series, startMs, endMs, stepMs), [series, startMs, endMs, stepMs]);
  const names = useMemo(() => series.map((each) => seriesName(each.metric)), [series]);
  const [shown, setShown] = useState<boolean[]>([]);
  const visible = shown.length === names.length ? shown : names.map(() => true);
  const key = visible.map(Number).join("");
  const chart = useMemo(
    () => ({ data, shown: visible, isStacked: false, isLog: false, yMin: 0, exemplars: [] }),
    [data, key],
  );
  if (!series.length) return <Empty title="Nothing to show">Nothing of this is stored in these times.</Empty>;
  return (
    <>
      <LineChart
        chart={chart}
        canvas={canvas}
        nameOf={(at) => names[at] ?? ""}
        onZoom={() => undefined}
        onExemplar={() => undefined}
      />
      <Legend names={names} columns={data.columns} shown={visible} onShow={setShown} sortedBy="last" />
    </>
  );
}

/** What grew, and when. */
export function GrowthTab() {
  const [question, setQuestion] = useState<Question>("metric");
  const [span, setSpan] = useState<Span>("21600");
  const chosen = question === "bytes" ? BYTES : QUESTIONS[question];
  const asked = useAsked(
    async (signal) => {
      const endMs = Math.floor(Date.now() / 1000) * 1000;
      const startMs = endMs - Number(span) * 1000;
      const stepMs = Math.ceil((endMs - startMs) / POINTS / 1000) * 1000;
      const times = { startMs, endMs, stepMs };
      if (question !== "bytes")
        return { result: await grown(QUESTIONS[question], times, signal), sampleBytes: 0, ...times };
      const sampleBytes = await bytesOfSample(signal);
      return { result: await grownBytes(sampleBytes, times, signal), sampleBytes, ...times };
    },
    [question, span],
  );
  return (
    <>
      <div class="row">
        <Choice
          label="What is counted"
          value={question}
          choices={[
            ["metric", "By metric"],
            ["job", "By job"],
            ["target", "By target"],
            ["churn", "New series"],
            ["bytes", "Bytes"],
          ]}
          onChange={setQuestion}
        />
        <Choice
          label="How far back"
          value={span}
          choices={[
            ["3600", formatDuration(3_600_000)],
            ["21600", formatDuration(21_600_000)],
            ["86400", formatDuration(86_400_000)],
            ["604800", formatDuration(604_800_000)],
          ]}
          onChange={setSpan}
        />
      </div>
      <Panel title={chosen.title} actions={<span class="muted">{chosen.about}</span>}>
        <Loaded asked={asked}>
          {(answer) => (
            <>
              <Chart {...answer} />
              {answer.sampleBytes ? (
                <p class="muted">
                  Samples of the hour, each taken as the {Number(answer.sampleBytes.toPrecision(3))} bytes
                  that one takes on this server's disk on average.
                </p>
              ) : null}
            </>
          )}
        </Loaded>
      </Panel>
    </>
  );
}
