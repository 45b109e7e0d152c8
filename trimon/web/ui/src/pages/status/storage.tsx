import { Link } from "wouter-preact";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { type Bar, Bars } from "../../components/bars";
import { Choice } from "../../components/controls/choice";
import { Facts, Page, Panel } from "../../components/layout/page";
import { Loaded } from "../../components/states";
import { Time } from "../../components/time";
import { may } from "../../state/server";
import { useUrlState } from "../../state/urlstate";
import { labelName, quoted } from "../../values/labels";
import { bytes, count } from "../../values/numbers";
import { humanDuration } from "../../values/time/durations";
import { type Block, BlockAxis } from "./blockaxis";
import { DeletionPanel } from "./deletion";

interface Named {
  name: string;
  value: number;
}

interface Cardinality {
  headStats: {
    numSeries: number;
    numLabelPairs: number;
    chunkCount: number;
    minTime: number;
    maxTime: number;
  };
  seriesCountByMetricName: Named[];
  labelValueCountByLabelName: Named[];
  memoryInBytesByLabelName: Named[];
  seriesCountByLabelValuePair: Named[];
}

interface Growth {
  since: string;
  seriesBefore: number;
  newSeries: number;
  newSeriesByMetricName: Named[];
  newValuesByLabelName: (Named & { series: number })[];
  newSeriesByTarget: { job: string; instance: string; value: number }[];
}

interface Storage {
  problems: unknown[];
  figures: Record<string, number>;
}

interface Replay {
  min: number;
  max: number;
  current: number;
}

const EVERY_MS = 15_000;
const REPLAY_EVERY_MS = 2000;
const LIMITS = [
  ["10", "10"],
  ["50", "50"],
  ["200", "200"],
] as const;

function selector(metric: string): string {
  return `/query?${new URLSearchParams({ "g0.expr": `{__name__=${quoted(metric)}}`, "g0.tab": "table" })}`;
}

function bars(found: readonly Named[], shown = count): Bar[] {
  return found.map((each) => ({
    key: each.name,
    name: each.name,
    value: each.value,
    shown: shown(each.value),
  }));
}

function metricBars(found: readonly Named[]): Bar[] {
  return found.map((each) => ({
    key: each.name,
    name: <Link href={selector(each.name)}>{each.name}</Link>,
    value: each.value,
    shown: count(each.value),
  }));
}

/** Labels that lead to how many series each of their values has. */
function labelBars(found: readonly Named[]): Bar[] {
  return bars(found).map((bar) => {
    const label = labelName(bar.key);
    const expression = `sort_desc(count by (${label}) ({${label}!=""}))`;
    return {
      ...bar,
      name: (
        <Link href={`/query?${new URLSearchParams({ "g0.expr": expression, "g0.tab": "table" })}`}>
          {bar.key}
        </Link>
      ),
    };
  });
}

function ReplayPanel({ replay }: { replay: Replay }) {
  if (replay.current >= replay.max) return <p class="muted">The log was read to its end at the start.</p>;
  return (
    <p class="row">
      <progress
        max={Math.max(1, replay.max - replay.min)}
        value={replay.current - replay.min}
        aria-label="Replay of the log"
      />
      The log is read: segment {replay.current} of {replay.max}.
    </p>
  );
}

function Head({ found, storage }: { found: Cardinality; storage: Storage | undefined }) {
  const head = found.headStats;
  const figures = storage?.figures ?? {};
  const hasSamples = head.minTime > 0 && head.maxTime >= head.minTime && head.maxTime < 8.64e15;
  return (
    <Facts
      facts={[
        ["series", count(head.numSeries)],
        ["chunks", count(head.chunkCount)],
        ["label pairs", count(head.numLabelPairs)],
        ["samples in the head", count(figures.head_samples ?? 0)],
        ["memory of the head", bytes(figures.head_bytes ?? 0)],
        ["log on disk", bytes(figures.wal_bytes ?? 0)],
        ["blocks on disk", bytes(figures.blocks_bytes ?? 0)],
        ["from", hasSamples ? <Time key="from" timeMs={head.minTime} /> : "–"],
        ["to", hasSamples ? <Time key="to" timeMs={head.maxTime} /> : "–"],
      ]}
    />
  );
}

function GrowthPanel({ growth }: { growth: Growth }) {
  if (!growth.newSeries) return <p class="muted">No new series in the last hour.</p>;
  return (
    <>
      <p>
        {growth.seriesBefore
          ? `${count(growth.newSeries)} new series beside ${count(growth.seriesBefore)} that were there before.`
          : `The head is younger than an hour: all its ${count(growth.newSeries)} series count as new.`}
      </p>
      <div class="columns">
        <section>
          <h3>By metric</h3>
          <Bars label="New series by metric" bars={metricBars(growth.newSeriesByMetricName)} />
        </section>
        <section>
          <h3>By label: new values, and series that have them</h3>
          <Bars
            label="New values by label"
            bars={growth.newValuesByLabelName.map((each) => ({
              key: each.name,
              name: each.name,
              value: each.series,
              shown: `${count(each.value)} values, ${count(each.series)} series`,
            }))}
          />
        </section>
        <section>
          <h3>By target</h3>
          <Bars
            label="New series by target"
            bars={growth.newSeriesByTarget.map((each) => ({
              key: `${each.job} ${each.instance}`,
              name: each.job ? (
                <Link href={`/targets?${new URLSearchParams({ pool: each.job, search: each.instance })}`}>
                  {each.job} {each.instance}
                </Link>
              ) : (
                "not scraped: rules, pushes, the server itself"
              ),
              value: each.value,
              shown: count(each.value),
            }))}
          />
        </section>
      </div>
    </>
  );
}

/** What is stored, what takes series and memory, and what grows. */
export default function StoragePage() {
  const [limit, setLimit] = useUrlState("limit", "10");
  const cardinality = useAsked(
    (signal) => ask<Cardinality>("/status/tsdb", { limit }, { signal }),
    [limit],
    EVERY_MS,
  );
  const growth = useAsked(
    (signal) => ask<Growth>("/status/growth", { limit }, { signal }),
    [limit],
    EVERY_MS,
  );
  const storage = useAsked((signal) => ask<Storage>("/status/storage", {}, { signal }), [], EVERY_MS);
  const blocks = useAsked(
    (signal) => ask<{ blocks: Block[] }>("/status/tsdb/blocks", {}, { signal }),
    [],
    EVERY_MS,
  );
  const replay = useAsked((signal) => ask<Replay>("/status/walreplay", {}, { signal }), [], REPLAY_EVERY_MS);
  const spanMs = cardinality.data
    ? cardinality.data.data.headStats.maxTime - cardinality.data.data.headStats.minTime
    : 0;
  return (
    <Page
      title="Storage"
      about="What is stored, which metrics and labels take series and memory, and what grows."
      actions={
        <Choice label="Entries of a list" value={limit as "10"} choices={LIMITS} onChange={setLimit} />
      }
    >
      <div class="columns">
        <Panel title={spanMs > 0 ? `Head: ${humanDuration(spanMs)}` : "Head"}>
          <Loaded asked={cardinality}>
            {(answer) => <Head found={answer.data} storage={storage.data?.data} />}
          </Loaded>
        </Panel>
        <Panel title="Blocks">
          <Loaded asked={blocks}>
            {(answer) => <BlockAxis blocks={answer.data.blocks} head={cardinality.data?.data.headStats} />}
          </Loaded>
          {replay.data ? <ReplayPanel replay={replay.data.data} /> : null}
        </Panel>
      </div>
      <Panel title="Grown in the last hour">
        <Loaded asked={growth}>{(answer) => <GrowthPanel growth={answer.data} />}</Loaded>
      </Panel>
      {may("delete") ? <DeletionPanel lowestMs={storage.data?.data.figures.lowest_ms ?? 0} /> : null}
      <Loaded asked={cardinality}>
        {(answer) => (
          <div class="columns">
            <Panel title="Series by metric">
              <Bars label="Series by metric" bars={metricBars(answer.data.seriesCountByMetricName)} />
            </Panel>
            <Panel title="Values by label">
              <Bars label="Values by label" bars={labelBars(answer.data.labelValueCountByLabelName)} />
            </Panel>
            <Panel title="Memory by label">
              <Bars label="Memory by label" bars={bars(answer.data.memoryInBytesByLabelName, bytes)} />
            </Panel>
            <Panel title="Series by label and value">
              <Bars label="Series by label and value" bars={bars(answer.data.seriesCountByLabelValuePair)} />
            </Panel>
          </div>
        )}
      </Loaded>
    </Page>
  );
}
