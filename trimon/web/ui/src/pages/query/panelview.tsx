import { useEffect, useRef, useState } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { type Answer, ask, messageOf } from "../../api/client";
import type { Result, Statistics } from "../../api/results";
import { Icon } from "../../components/icon";
import { Folded } from "../../components/layout/folded";
import { Tabs } from "../../components/layout/tabs";
import { lazy } from "../../components/lazy";
import { Loading } from "../../components/states";
import { count } from "../../values/numbers";
import { humanDuration } from "../../values/time/durations";
import { type Graph, GraphView } from "./answer/graphview";
import { download, tableCsv } from "./answer/share";
import { TableView } from "./answer/tableview";
import { DrawingControls, EndField, RangeField, ResolutionField } from "./controls";
import type { Part } from "./explain/partstree";
import { Beginnings } from "./expression/beginnings";
import { ExpressionEditor } from "./expression/editor";
import { placeOf } from "./expression/errorplace";
import { remember } from "./expression/history";
import { isOn } from "./expression/settings";
import type { Draft } from "./panels/drafts";
import { type Panel, REFRESH_S, type TabName, timeParameter, timeRange } from "./panels/panel";
import { PanelTools } from "./paneltools";

type Times = Pick<Panel, "endMs" | "rangeMs">;

interface Properties {
  panel: Panel;
  onChange: (change: Partial<Panel>) => void;
  onRemove: (() => void) | undefined;
  onDuplicate: () => void;
  label: string;
  isFirst: boolean;
  /** Whether somebody has just added it. */
  isNew: boolean;
  /** Where what is typed and not run is kept while the page is away. */
  draft: Draft;
}

const TABS: readonly { name: TabName; title: string }[] = [
  { name: "table", title: "Table" },
  { name: "graph", title: "Graph" },
  { name: "explain", title: "Explain" },
];
const ExplainView = lazy(async () => (await import("./explain/explainview")).ExplainView);
const PartsTree = lazy(async () => (await import("./explain/partstree")).PartsTree);

interface Table {
  answer: Answer<Result>;
  tookMs: number;
}

async function askTable(panel: Panel, signal: AbortSignal): Promise<Table> {
  const began = performance.now();
  const answer = await ask<Result>(
    "/query",
    { query: panel.expression, ...timeParameter(panel), stats: "true" },
    { signal, post: true, byPerson: true },
  );
  return { answer, tookMs: Math.round(performance.now() - began) };
}

async function askGraph(panel: Panel, signal: AbortSignal): Promise<Graph> {
  const began = performance.now();
  const times = timeRange(panel, Date.now());
  const parameters = {
    query: panel.expression,
    start: times.startMs / 1000,
    end: times.endMs / 1000,
    step: times.stepMs / 1000,
  };
  const answer = await ask<Result>(
    "/query_range",
    { ...parameters, stats: "true" },
    { signal, post: true, byPerson: true },
  );
  return { times, answer, tookMs: Math.round(performance.now() - began) };
}

function Told({ answer }: { answer: Answer<Result> | undefined }) {
  return (
    <>
      {(isOn("warnings") ? answer?.warnings : undefined)?.map((text) => (
        <p class="notice warn" key={text}>
          {text}
        </p>
      ))}
      {(isOn("infos") ? answer?.infos : undefined)?.map((text) => (
        <p class="notice info" key={text}>
          {text}
        </p>
      ))}
    </>
  );
}

const TIMES: Record<string, string> = {
  execQueueTime: "waiting",
  queryPreparationTime: "finding series",
  innerEvalTime: "computing",
  resultSortTime: "sorting",
};

function StatisticsLine({ statistics }: { statistics: Statistics | undefined }) {
  if (!statistics) return null;
  const { timings, samples } = statistics;
  return (
    <details class="statistics muted">
      <summary>Statistics</summary>
      <p>
        {Object.entries(TIMES)
          .map(([name, title]) => `${title} ${humanDuration((timings[name] ?? 0) * 1000)}`)
          .join(", ")}
        ; {count(samples.totalQueryableSamples)} samples looked at, at most {count(samples.peakSamples)} at
        once
        {samples.samplesRead === undefined ? "" : `, ${count(samples.samplesRead)} read`}
      </p>
    </details>
  );
}

function QueryFailure({ error, again }: { error: unknown; again: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <span class="mono">{messageOf(error)}</span>
      <button type="button" onClick={again}>
        Run again
      </button>
    </div>
  );
}

function TableTab({ panel, turn, onError, onBusy }: TabProperties) {
  const asked = useAsked((signal) => askTable(panel, signal), [panel.expression, panel.endMs, turn]);
  useEffect(() => onError(asked.error), [asked.error, onError]);
  useEffect(() => onBusy(asked.loading), [asked.loading, onBusy]);
  if (asked.error !== undefined) return <QueryFailure error={asked.error} again={asked.again} />;
  if (!asked.data) return <Loading />;
  const { answer, tookMs } = asked.data;
  return (
    <>
      <Told answer={answer} />
      <TableView result={answer.data} tookMs={tookMs} />
      <div class="row">
        <StatisticsLine statistics={answer.data.stats} />
        <button
          type="button"
          class="plain"
          onClick={() => download("table.csv", new Blob([tableCsv(answer.data)], { type: "text/csv" }))}
        >
          <Icon name="download" />
          CSV
        </button>
      </div>
    </>
  );
}

interface TabProperties {
  panel: Panel;
  turn: number;
  onError: (error: unknown) => void;
  onBusy: (isBusy: boolean) => void;
}

interface GraphProperties extends TabProperties {
  onZoom: (times: Times) => void;
  /** Back to what was shown before somebody zoomed; undefined where nobody did. */
  onUnzoom: (() => void) | undefined;
}

function GraphTab(properties: GraphProperties) {
  const { panel, turn, onZoom, onUnzoom, onError, onBusy } = properties;
  const { resolution } = panel;
  const step = resolution.type === "auto" ? resolution.density : resolution.stepMs;
  const asked = useAsked(
    (signal) => askGraph(panel, signal),
    [panel.expression, panel.endMs, panel.rangeMs, step, turn],
  );
  useEffect(() => onError(asked.error), [asked.error, onError]);
  useEffect(() => onBusy(asked.loading), [asked.loading, onBusy]);
  if (asked.error !== undefined) return <QueryFailure error={asked.error} again={asked.again} />;
  if (!asked.data) return <Loading />;
  return (
    <>
      <Told answer={asked.data.answer} />
      <GraphView panel={panel} graph={asked.data} onZoom={onZoom} onUnzoom={onUnzoom} />
      <StatisticsLine statistics={asked.data.answer.data.stats} />
    </>
  );
}

function Refresh({ value, onChange }: { value: number; onChange: (seconds: number) => void }) {
  return (
    <select
      aria-label="Refresh"
      title="Ask again by itself"
      value={value}
      onChange={(event) => onChange(Number(event.currentTarget.value))}
    >
      {REFRESH_S.map((seconds) => (
        <option key={seconds} value={seconds}>
          {seconds ? `Every ${humanDuration(seconds * 1000)}` : "No refresh"}
        </option>
      ))}
    </select>
  );
}

function Controls({ panel, onChange }: { panel: Panel; onChange: (change: Partial<Panel>) => void }) {
  if (panel.tab === "explain") return null;
  return (
    <div class="row controls">
      {panel.tab === "graph" ? <RangeField panel={panel} onChange={onChange} /> : null}
      <EndField panel={panel} onChange={onChange} label={panel.tab === "graph" ? "End time" : "Time"} />
      <Folded title="How it is drawn" isAlways={panel.tab !== "graph"}>
        {panel.tab === "graph" ? (
          <>
            <ResolutionField panel={panel} onChange={onChange} />
            <DrawingControls panel={panel} onChange={onChange} />
          </>
        ) : null}
        <Refresh value={panel.refreshS} onChange={(refreshS) => onChange({ refreshS })} />
      </Folded>
    </div>
  );
}

function useRefresh(seconds: number, again: () => void): void {
  const latest = useRef(again);
  latest.current = again;
  useEffect(() => {
    if (!seconds) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) latest.current();
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}

/** One question and its answer. */
export function PanelView(properties: Properties) {
  const { panel, onChange, onRemove, onDuplicate, label, isFirst, isNew, draft } = properties;
  const [typed, setTyped] = useState(draft.expression === panel.expression ? draft.typed : panel.expression);
  const [turn, setTurn] = useState(0);
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const [isStopped, setStopped] = useState(false);
  const [unzoomed, setUnzoomed] = useState<Times | undefined>();
  const isMade = useRef(false);
  const inserter = useRef<(text: string) => void>(() => undefined);
  const [part, setPart] = useState<Part | undefined>();
  useEffect(() => {
    // The first time what was typed before stays.
    if (isMade.current) setTyped(panel.expression);
    isMade.current = true;
    setPart(undefined);
    // A link has been asked as well.
    remember(panel.expression);
  }, [panel.expression]);
  draft.expression = panel.expression;
  draft.typed = typed;
  // The whole, or the part of it that somebody looks at.
  const looked = panel.showTree && part ? { ...panel, expression: part.text } : panel;
  const run = (text: string) => {
    remember(text);
    setStopped(false);
    setTurn(turn + 1);
    if (text !== panel.expression) onChange({ expression: text });
  };
  useRefresh(panel.endMs === undefined && panel.expression && !isStopped ? panel.refreshS : 0, () =>
    setTurn(turn + 1),
  );
  const message = error === undefined ? "" : messageOf(error);
  const place = message && looked === panel && typed === panel.expression ? placeOf(message) : undefined;
  const changeByHand = (change: Partial<Panel>) => {
    if ("endMs" in change || "rangeMs" in change) setUnzoomed(undefined);
    onChange(change);
  };
  const zoom = (times: Times) => {
    setUnzoomed(unzoomed ?? { endMs: panel.endMs, rangeMs: panel.rangeMs });
    onChange(times);
  };
  const isZoomed =
    unzoomed && (unzoomed.endMs !== panel.endMs || unzoomed.rangeMs !== panel.rangeMs) ? unzoomed : undefined;
  const tab: TabProperties = {
    panel: looked,
    turn,
    onError: setError,
    onBusy: setBusy,
  };
  return (
    <section class="panel query-panel" aria-label={label}>
      <div class="query-head">
        <ExpressionEditor
          value={typed}
          onChange={setTyped}
          onRun={run}
          error={place ? { place, message } : undefined}
          label={`Expression of ${label}`}
          isFirst={isFirst}
          isNew={isNew}
          inserter={inserter}
        />
        {isBusy && !isStopped ? (
          <button type="button" onClick={() => setStopped(true)}>
            <Icon name="stop" />
            Cancel
          </button>
        ) : (
          <button type="button" class="primary" onClick={() => run(typed)}>
            Run
          </button>
        )}
      </div>
      <PanelTools
        panel={panel}
        typed={typed}
        isFailed={message !== "" && typed === panel.expression}
        onTyped={setTyped}
        onInsert={(text) => inserter.current(text)}
        onError={setError}
        onChange={onChange}
        onDuplicate={onDuplicate}
        onRemove={onRemove}
      />
      {panel.showTree && panel.expression.trim() ? (
        <PartsTree panel={panel} turn={turn} chosen={part?.path ?? "0"} onChoose={setPart} />
      ) : null}
      <Tabs
        tabs={TABS}
        value={panel.tab}
        onChange={(name) => onChange({ tab: name })}
        label="How it is shown"
      >
        <Controls panel={panel} onChange={changeByHand} />
        {!panel.expression.trim() ? (
          <Beginnings
            onChoose={(expression, tab) => {
              remember(expression);
              onChange({ expression, tab });
            }}
          />
        ) : isStopped ? (
          <p class="notice">Canceled. The server has stopped computing, too.</p>
        ) : panel.tab === "graph" ? (
          <GraphTab {...tab} onZoom={zoom} onUnzoom={isZoomed ? () => changeByHand(isZoomed) : undefined} />
        ) : panel.tab === "explain" ? (
          <ExplainView panel={looked} turn={turn} />
        ) : (
          <TableTab {...tab} />
        )}
      </Tabs>
    </section>
  );
}
