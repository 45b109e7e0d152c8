import { useMemo, useRef, useState } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Choice } from "../../components/choice";
import { Panel } from "../../components/page";
import { Empty, Loaded } from "../../components/states";
import { formatDuration } from "../../values/durations";
import { seriesName } from "../../values/labels";
import { LineChart } from "../query/chart";
import { chartData } from "../query/chartdata";
import { Legend } from "../query/legend";
import { hasSeries, type Result } from "../query/results";
import "../../styles/query.css";

const POINTS = 120;
const TOP = 10;
type Span = "3600" | "21600" | "86400" | "604800";

const QUESTIONS = {
  metric: {
    title: "Series of each metric",
    about: `The ${TOP} metrics with most series.`,
    query: `topk(${TOP}, count by (__name__) ({__name__=~".+"}))`,
  },
  job: {
    title: "Series of each job",
    about: `The ${TOP} jobs with most series.`,
    query: `topk(${TOP}, count by (job) ({__name__=~".+"}))`,
  },
  target: {
    title: "Samples of each target",
    about: `The ${TOP} targets with most samples a scrape.`,
    query: `topk(${TOP}, scrape_samples_post_metric_relabeling)`,
  },
  churn: {
    title: "New series of each target, an hour",
    about: `The ${TOP} targets that made most new series.`,
    query: `topk(${TOP}, sum by (job, instance) (sum_over_time(scrape_series_added[1h])) > 0)`,
  },
} as const;
type Question = keyof typeof QUESTIONS;

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
      <Legend names={names} columns={data.columns} shown={visible} onShow={setShown} />
    </>
  );
}

/** What grew, and when. */
export function GrowthTab() {
  const [question, setQuestion] = useState<Question>("metric");
  const [span, setSpan] = useState<Span>("21600");
  const chosen = QUESTIONS[question];
  const asked = useAsked(
    async (signal) => {
      const endMs = Math.floor(Date.now() / 1000) * 1000;
      const startMs = endMs - Number(span) * 1000;
      const stepMs = Math.ceil((endMs - startMs) / POINTS / 1000) * 1000;
      const parameters = {
        query: chosen.query,
        start: startMs / 1000,
        end: endMs / 1000,
        step: stepMs / 1000,
      };
      const answer = await ask<Result>("/query_range", parameters, { signal, post: true });
      return { result: answer.data, startMs, endMs, stepMs };
    },
    [chosen.query, span],
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
        <Loaded asked={asked}>{(answer) => <Chart {...answer} />}</Loaded>
      </Panel>
    </>
  );
}
