import { useEffect, useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { type Asked, useAsked } from "../../api/asked";
import { type Answer, ask, messageOf } from "../../api/client";
import { Badge } from "../../components/badge";
import { Facts, Page, Panel } from "../../components/layout/page";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/tables/table";
import { Ago, Time } from "../../components/time";
import { TimeBar, TimeLegend } from "../../components/timebar";
import { useUrlState } from "../../state/urlstate";
import { bytes, count } from "../../values/numbers";
import { formatDuration, humanDuration } from "../../values/time/durations";
import { parseApiTime } from "../../values/time/times";
import { type PastQuery, type QueryRun, queryLink, whereTimeWent } from "./pastquery";

interface ActiveQuery {
  id: number;
  query: string;
  user: string;
  client: string;
  age_s: number;
  phase: string;
  canceled: boolean;
  by_page: boolean;
  samples: number;
  reserved_bytes: number;
}

const ACTIVE_EVERY_MS = 1000;
const PAST_EVERY_MS = 10_000;

function Cancel({ query, again }: { query: ActiveQuery; again: () => void }) {
  const [said, setSaid] = useState("");
  const cancel = async () => {
    try {
      await ask(`/trimon/queries/${query.id}/cancel`, {}, { post: true });
      again();
    } catch (error) {
      setSaid(messageOf(error));
    }
  };
  if (said) return <span class="bad-text">{said}</span>;
  return (
    <button type="button" disabled={query.canceled} onClick={cancel} aria-label={`Cancel ${query.query}`}>
      {query.canceled ? "Ending" : "Cancel"}
    </button>
  );
}

function activeColumns(again: () => void): readonly Column<ActiveQuery>[] {
  return [
    { name: "query", title: "Query", width: "minmax(0, 3fr)", cell: (row) => <code>{row.query}</code> },
    {
      name: "who",
      title: "Who",
      width: "minmax(7rem, 1fr)",
      cell: (row) => row.user || row.client || "the server",
    },
    { name: "phase", title: "What it does", width: "minmax(8rem, 1fr)", cell: (row) => row.phase },
    {
      name: "age",
      title: "For",
      width: "5.5rem",
      cell: (row) => humanDuration(row.age_s * 1000),
      sort: (row) => row.age_s,
      isNumber: true,
    },
    {
      name: "samples",
      title: "Samples",
      width: "6.5rem",
      cell: (row) => count(row.samples),
      sort: (row) => row.samples,
      isNumber: true,
    },
    {
      name: "memory",
      title: "Memory",
      width: "6rem",
      cell: (row) => bytes(row.reserved_bytes),
      sort: (row) => row.reserved_bytes,
      isNumber: true,
    },
    { name: "cancel", title: "", width: "6rem", cell: (row) => <Cancel query={row} again={again} /> },
  ];
}

function ActivePanel({
  active,
  withPages,
}: {
  active: Asked<Answer<{ queries: ActiveQuery[] }>>;
  withPages: boolean;
}) {
  const shown = (all: readonly ActiveQuery[]) => all.filter((each) => withPages || !each.by_page);
  return (
    <Panel title="At work now">
      <Loaded asked={active}>
        {(answer) =>
          shown(answer.data.queries).length ? (
            <DataTable
              label="Queries at work"
              columns={activeColumns(active.again)}
              rows={shown(answer.data.queries)}
              keyOf={(row) => String(row.id)}
            />
          ) : (
            <p class="muted">No query is at work or waits.</p>
          )
        }
      </Loaded>
    </Panel>
  );
}

function RunFacts({ title, run }: { title: string; run: QueryRun }) {
  const isRange = run.step_s > 0;
  const spanMs = parseApiTime(run.end) - parseApiTime(run.start);
  return (
    <section>
      <h3>{title}</h3>
      <Facts
        facts={[
          ["when", <Time key="t" timeMs={parseApiTime(run.time)} />],
          [
            "asked for",
            isRange
              ? `${formatDuration(spanMs)} in steps of ${formatDuration(run.step_s * 1000)}`
              : "one moment",
          ],
          ["by", run.httpRequest?.clientIP ?? "the server"],
          ["took", humanDuration(run.took_s * 1000)],
          ...whereTimeWent(run).map((part) => [part.name, humanDuration(part.s * 1000)] as const),
          ["samples looked at", count(run.samples)],
          ...(run.canceled ? [["ended by", "somebody who cancelled it"] as const] : []),
          ...(run.error && !run.canceled
            ? [
                [
                  "error",
                  <span key="e" class="bad-text">
                    {run.error}
                  </span>,
                ] as const,
              ]
            : []),
        ]}
      />
    </section>
  );
}

const PAST_COLUMNS: readonly Column<PastQuery>[] = [
  {
    name: "query",
    title: "Query",
    width: "minmax(0, 3fr)",
    cell: (row) => (
      <>
        <code>{row.query}</code> {row.by_page ? <Badge>by a page</Badge> : null}
      </>
    ),
    sort: (row) => row.query,
  },
  {
    name: "slowest",
    title: "Slowest",
    width: "6rem",
    cell: (row) => humanDuration(row.slowest.took_s * 1000),
    sort: (row) => row.slowest.took_s,
    isNumber: true,
  },
  {
    name: "parts",
    title: "Where its time went",
    width: "minmax(10.5rem, 1fr)",
    cell: (row) => <TimeBar parts={whereTimeWent(row.slowest)} wholeS={row.slowest.took_s} />,
  },
  {
    name: "samples",
    title: "Samples",
    width: "6.5rem",
    cell: (row) => count(row.slowest.samples),
    sort: (row) => row.slowest.samples,
    isNumber: true,
  },
  {
    name: "count",
    title: "Asked",
    width: "5rem",
    cell: (row) => count(row.count),
    sort: (row) => row.count,
    isNumber: true,
  },
  {
    name: "total",
    title: "In all",
    width: "5.5rem",
    cell: (row) => humanDuration(row.total_s * 1000),
    sort: (row) => row.total_s,
    isNumber: true,
  },
  {
    name: "errors",
    title: "Errors",
    width: "5rem",
    cell: (row) => <span class={row.errors ? "bad-text" : "muted"}>{count(row.errors)}</span>,
    sort: (row) => row.errors,
    isNumber: true,
  },
  {
    name: "canceled",
    title: "Cancelled",
    width: "6rem",
    cell: (row) => <span class={row.canceled ? "" : "muted"}>{count(row.canceled)}</span>,
    sort: (row) => row.canceled,
    isNumber: true,
  },
  {
    name: "last",
    title: "Last",
    width: "8rem",
    cell: (row) => <Ago timeMs={parseApiTime(row.last.time)} />,
    sort: (row) => parseApiTime(row.last.time),
    isNumber: true,
  },
];

function PastDetail({ past }: { past: PastQuery }) {
  return (
    <>
      <p class="row">
        <Link class="button" href={queryLink(past.query, past.slowest)}>
          Open it in a query panel
        </Link>
        <Link class="button" href={queryLink(past.query, past.slowest, "explain")}>
          Explain it
        </Link>
      </p>
      <div class="columns">
        <RunFacts title="Its slowest run" run={past.slowest} />
        <RunFacts title="Its last run" run={past.last} />
      </div>
    </>
  );
}

/** Which queries are at work, with an end to each, and which took long, and why. */
export default function QueriesPage() {
  const [show, setShow] = useUrlState("show");
  const withPages = show === "pages";
  const active = useAsked(
    (signal) => ask<{ queries: ActiveQuery[] }>("/trimon/queries", {}, { signal }),
    [],
    ACTIVE_EVERY_MS,
  );
  const past = useAsked(
    (signal) =>
      ask<{ since: string; queries: PastQuery[] }>(
        "/trimon/queries/past",
        { limit: 500, by_pages: withPages },
        { signal },
      ),
    [withPages],
    PAST_EVERY_MS,
  );
  // What is at work no longer has ended, and is listed at once.
  const working = active.data?.data.queries;
  const before = useRef<ReadonlySet<number>>(new Set());
  useEffect(() => {
    if (!working) return;
    const now = new Set(working.map((each) => each.id));
    if ([...before.current].some((id) => !now.has(id))) past.again();
    before.current = now;
  }, [working, past.again]);
  return (
    <Page
      title="Queries"
      about="What is asked now, and what took long since the server started."
      actions={
        <label class="check">
          <input
            type="checkbox"
            checked={withPages}
            onChange={(event) => setShow(event.currentTarget.checked ? "pages" : "")}
          />
          Also what these pages ask by themselves
        </label>
      }
    >
      <ActivePanel active={active} withPages={withPages} />
      <Loaded asked={past}>
        {(answer) =>
          answer.data.queries.length ? (
            <>
              <TimeLegend parts={answer.data.queries.flatMap((row) => whereTimeWent(row.slowest))} />
              <DataTable
                label="Queries that have ended"
                columns={PAST_COLUMNS}
                rows={answer.data.queries}
                keyOf={(row) => `${row.by_page} ${row.query}`}
                nameOf={(row) => row.query}
                detail={(row) => <PastDetail past={row} />}
                initialSort={{ column: "slowest", descending: true }}
              />
            </>
          ) : (
            <Empty title="No query has ended yet">
              <Link href="/query">Ask something</Link>, and it is here with its times.
            </Empty>
          )
        }
      </Loaded>
    </Page>
  );
}
