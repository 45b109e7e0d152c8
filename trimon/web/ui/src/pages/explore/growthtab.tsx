import { useMemo, useRef, useState } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Choice } from "../../components/choice";
import { Panel } from "../../components/page";
import { Empty, Loaded } from "../../components/states";
import { formatDuration } from "../../values/durations";
import { quoted, seriesName } from "../../values/labels";
import { LineChart } from "../query/chart";
import { chartData } from "../query/chartdata";
import { Legend } from "../query/legend";
import { hasSeries, type Result } from "../query/results";
import "../../styles/query.css";

const POINTS = 120;
const TOP = 10;
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
      <Legend names={names} columns={data.columns} shown={visible} onShow={setShown} sortedBy="last" />
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
      const times = { startMs, endMs, stepMs };
      return { result: await grown(chosen, times, signal), ...times };
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
