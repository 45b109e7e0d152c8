import { useState } from "preact/hooks";
import { ask } from "../../api/client";
import { Choice } from "../../components/controls/choice";
import { LabelChips } from "../../components/labels";
import { Failure } from "../../components/states";
import { Time } from "../../components/time";
import type { Labels } from "../../values/labels";
import { count } from "../../values/numbers";
import { humanDuration } from "../../values/time/durations";
import { parseApiTime } from "../../values/time/times";
import { Closest } from "./closest";
import type { Placed } from "./model";

interface Event {
  at: string;
  state: string;
}

interface RuleReport {
  name: string;
  type: string;
  evaluations: number;
  failures: number;
  firstFailure?: { at: string; error: string };
  alerts?: number;
  fired?: number;
  firingSeconds?: number;
  series?: { labels: Labels; fired: number; firingSeconds: number; events: Event[] }[];
}

interface Report {
  start: string;
  groups: { name: string; file: string; interval: number; rules: RuleReport[] }[];
}

/** A rule's report, with what limits it. */
interface Limited {
  report: RuleReport;
  startMs: number;
  intervalS: number;
  /** Since when samples are stored; 0 where nobody knows. */
  storedMs: number;
}

// The server evaluates no more often.
const EVALUATIONS_MAX = 10_000;

type Span = "6" | "24" | "72";

function Fired({ report }: { report: RuleReport }) {
  return (
    <>
      <p>
        {report.fired ? (
          <>
            It would have fired <strong>{count(report.fired)} times</strong>, for{" "}
            {humanDuration((report.firingSeconds ?? 0) * 1000)} in all.
          </>
        ) : report.alerts ? (
          <>It would have been pending, and never long enough to fire.</>
        ) : (
          <>It would never have been active.</>
        )}{" "}
        <span class="muted">{count(report.evaluations)} evaluations</span>
      </p>
      {report.firstFailure ? (
        <p class="bad-text">
          {count(report.failures)} evaluations failed, the first at{" "}
          <Time timeMs={parseApiTime(report.firstFailure.at)} />: {report.firstFailure.error}
        </p>
      ) : null}
      {report.series?.slice(0, 20).map((series) => (
        <div key={JSON.stringify(series.labels)} class="backtest-series">
          <LabelChips labels={series.labels} without={["alertname"]} />
          <ul>
            {series.events.slice(0, 20).map((event) => (
              <li key={`${event.at} ${event.state}`}>
                <Time timeMs={parseApiTime(event.at)} /> {event.state}
              </li>
            ))}
          </ul>
        </div>
      ))}
    </>
  );
}

/** What the answer does not look at: times between coarser steps, and those of which nothing is stored. */
function Limits({ found, row }: { found: Limited; row: Placed }) {
  const isCoarse = found.intervalS > row.group.interval;
  const isShort = found.storedMs > found.startMs + found.intervalS * 1000;
  if (!isCoarse && !isShort) return null;
  return (
    <p class="notice info">
      {isCoarse ? (
        <span>
          Evaluated every {humanDuration(found.intervalS * 1000)} rather than every{" "}
          {humanDuration(row.group.interval * 1000)}: so long a time has at most {count(EVALUATIONS_MAX)}{" "}
          evaluations.
        </span>
      ) : null}
      {isShort ? (
        <span>
          Samples are stored only since <Time timeMs={found.storedMs} />.
        </span>
      ) : null}
    </p>
  );
}

/** What a rule would have done over the stored past: why it did not fire last night. */
export function Backtest({ row }: { row: Placed }) {
  const [hours, setHours] = useState<Span>("24");
  const [isBusy, setBusy] = useState(false);
  const [report, setReport] = useState<Limited | undefined>();
  const [error, setError] = useState<unknown>();
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const spanS = Number(hours) * 3600;
      const start = Date.now() / 1000 - spanS;
      const { file, name } = row.group;
      const least = Math.ceil(spanS / EVALUATIONS_MAX);
      const interval = least > row.group.interval ? { interval: `${least}s` } : {};
      const [answer, storage] = await Promise.all([
        ask<Report>(
          "/rules/backtest",
          { file: [file], group: [name], rule: [row.rule.name], start, ...interval },
          { post: true },
        ),
        ask<{ figures: { lowest_ms: number | null } }>("/status/storage"),
      ]);
      const found = answer.data.groups.flatMap((group) =>
        group.rules.map((report) => ({ report, intervalS: group.interval })),
      );
      const limits = { startMs: start * 1000, storedMs: storage.data.figures.lowest_ms ?? 0 };
      const own = found.find(({ report }) => report.name === row.rule.name);
      setReport(own && { ...own, ...limits });
    } catch (reason) {
      setReport(undefined);
      setError(reason);
    }
    setBusy(false);
  };
  return (
    <section class="backtest">
      <div class="row">
        <Choice
          label="How far back"
          value={hours}
          choices={[
            ["6", "6 hours"],
            ["24", "24 hours"],
            ["72", "3 days"],
          ]}
          onChange={setHours}
        />
        <button type="button" disabled={isBusy} onClick={run}>
          {isBusy ? "Evaluating" : "What would it have done?"}
        </button>
      </div>
      {error !== undefined ? <Failure error={error} /> : null}
      {report ? (
        <>
          <Fired report={report.report} />
          <Limits found={report} row={row} />
          <Closest query={row.rule.query} hours={hours} />
        </>
      ) : null}
    </section>
  );
}
