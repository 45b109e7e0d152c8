import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { Facts, Page } from "../../components/layout/page";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/tables/table";
import { Time } from "../../components/time";
import { count } from "../../values/numbers";
import { humanDuration } from "../../values/time/durations";

interface Counts {
  samples: number;
  histograms: number;
  exemplars: number;
}

interface Queue {
  name: string;
  url: string;
  protobufMessage: string;
  shards: number;
  shardsDesired: number;
  pending: number;
  lastSentTimestamp: number;
  lagSeconds: number;
  lastError: string;
  sent: Counts;
  failed: Counts;
  retried: Counts;
  dropped: Record<string, number>;
}

const EVERY_MS = 3000;

function all(counts: Counts): number {
  return counts.samples + counts.histograms;
}

const COLUMNS: readonly Column<Queue>[] = [
  {
    name: "queue",
    title: "Receiver",
    width: "minmax(14rem, 3fr)",
    cell: (row) => (
      <>
        <strong>{row.name}</strong> <Badge>{row.protobufMessage.includes("v2") ? "2.0" : "1.0"}</Badge>
        <div class="muted">{row.url}</div>
      </>
    ),
    sort: (row) => row.name,
  },
  {
    name: "lag",
    title: "Behind",
    width: "6rem",
    cell: (row) =>
      row.lastSentTimestamp ? humanDuration(row.lagSeconds * 1000) : <span class="muted">nothing sent</span>,
    sort: (row) => row.lagSeconds,
    isNumber: true,
  },
  {
    name: "pending",
    title: "Waiting",
    width: "6rem",
    cell: (row) => count(row.pending),
    sort: (row) => row.pending,
    isNumber: true,
  },
  {
    name: "shards",
    title: "Shards",
    width: "6rem",
    cell: (row) =>
      row.shards === row.shardsDesired
        ? count(row.shards)
        : `${count(row.shards)} of ${count(row.shardsDesired)}`,
    sort: (row) => row.shards,
    isNumber: true,
  },
  {
    name: "sent",
    title: "Sent",
    width: "7rem",
    cell: (row) => count(all(row.sent)),
    sort: (row) => all(row.sent),
    isNumber: true,
  },
  {
    name: "failed",
    title: "Failed",
    width: "6rem",
    cell: (row) => <span class={all(row.failed) ? "bad-text" : "muted"}>{count(all(row.failed))}</span>,
    sort: (row) => all(row.failed),
    isNumber: true,
  },
];

function Detail({ queue }: { queue: Queue }) {
  const counted = (counts: Counts) =>
    `${count(counts.samples)} samples, ${count(counts.histograms)} histograms, ${count(counts.exemplars)} exemplars`;
  return (
    <Facts
      facts={[
        ["newest sample that was sent", <Time key="t" timeMs={queue.lastSentTimestamp * 1000} />],
        ["sent", counted(queue.sent)],
        ["sent again", counted(queue.retried)],
        ["failed for good", counted(queue.failed)],
        ...Object.entries(queue.dropped).map(
          ([reason, number]) => [`left out: ${reason.replaceAll("_", " ")}`, count(number)] as const,
        ),
      ]}
    />
  );
}

interface Endpoint {
  name: string;
  url: string;
  readRecent: boolean;
  requiredMatchers: Record<string, string>;
  asked: number;
  failed: number;
  lastAnswer: string;
  lastError: string;
  health: "up" | "down" | "unknown";
}

const READ_COLUMNS: readonly Column<Endpoint>[] = [
  {
    name: "endpoint",
    title: "Read from",
    width: "minmax(14rem, 3fr)",
    cell: (row) => (
      <>
        <strong>{row.name}</strong>{" "}
        <Badge tone={row.health === "down" ? "bad" : row.health === "up" ? "good" : "none"}>
          {row.health}
        </Badge>
        <div class="muted">{row.url}</div>
      </>
    ),
    sort: (row) => row.name,
  },
  {
    name: "when",
    title: "For",
    width: "minmax(8rem, 1fr)",
    cell: (row) => (row.readRecent ? "all times" : "what is older than local samples"),
  },
  {
    name: "answer",
    title: "Last answer",
    width: "minmax(8rem, 1fr)",
    cell: (row) =>
      row.lastAnswer ? <Time timeMs={Date.parse(row.lastAnswer)} /> : <span class="muted">none yet</span>,
    sort: (row) => row.lastAnswer,
  },
  {
    name: "asked",
    title: "Asked",
    width: "6rem",
    cell: (row) => count(row.asked),
    sort: (row) => row.asked,
    isNumber: true,
  },
  {
    name: "failures",
    title: "Failed",
    width: "6rem",
    cell: (row) => <span class={row.failed ? "bad-text" : "muted"}>{count(row.failed)}</span>,
    sort: (row) => row.failed,
    isNumber: true,
  },
];

/** Who is read from; nothing where nobody is. */
function ReadFrom() {
  const asked = useAsked((signal) => ask<Endpoint[]>("/trimon/remote_read", {}, { signal }), [], EVERY_MS);
  if (!asked.data?.data.length) return null;
  return (
    <section aria-label="Read from others">
      <h2>Read from others</h2>
      <DataTable
        label="Read from others"
        columns={READ_COLUMNS}
        rows={asked.data.data}
        keyOf={(row) => `${row.name} ${row.url}`}
        below={(row) => (row.lastError ? <span class="bad-text">{row.lastError}</span> : null)}
      />
    </section>
  );
}

/** Who gets what is stored, how far behind each is, and what went wrong. */
export default function RemoteWritePage() {
  const asked = useAsked((signal) => ask<Queue[]>("/trimon/remote_write", {}, { signal }), [], EVERY_MS);
  return (
    <Page
      title="Remote write"
      about="Who gets what is stored, how far behind each receiver is, and what went wrong."
    >
      <Loaded asked={asked}>
        {(answer) =>
          answer.data.length ? (
            <DataTable
              label="Receivers"
              columns={COLUMNS}
              rows={answer.data}
              keyOf={(row) => `${row.name} ${row.url}`}
              detail={(row) => <Detail queue={row} />}
              below={(row) => (row.lastError ? <span class="bad-text">{row.lastError}</span> : null)}
            />
          ) : (
            <Empty title="Nothing is sent to others">
              Name receivers under <code>remote_write</code> in the configuration.
            </Empty>
          )
        }
      </Loaded>
      <ReadFrom />
    </Page>
  );
}
