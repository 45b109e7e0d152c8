import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge, type Tone } from "../../components/badge";
import { LabelChips } from "../../components/labels";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/tables/table";
import { Time } from "../../components/time";
import type { Labels } from "../../values/labels";
import { count } from "../../values/numbers";
import { found } from "../../values/search";
import { parseApiTime } from "../../values/time/times";

interface Change {
  time: string;
  provider: string;
  jobs: string[];
  kind: string;
  source: string;
  count: number;
  labels: Labels;
  before?: Labels;
}

const EVERY_MS = 5000;
const LIMIT = 5000;
const TONES: Record<string, Tone> = { came: "good", went: "bad", changed: "info", "labels changed": "info" };

const COLUMNS: readonly Column<Change>[] = [
  {
    name: "time",
    title: "When",
    width: "10.5rem",
    cell: (row) => <Time timeMs={parseApiTime(row.time)} />,
    sort: (row) => parseApiTime(row.time),
  },
  {
    name: "kind",
    title: "What",
    width: "8rem",
    cell: (row) => <Badge tone={TONES[row.kind] ?? "none"}>{row.kind}</Badge>,
    sort: (row) => row.kind,
  },
  {
    name: "target",
    title: "Target",
    width: "minmax(12rem, 3fr)",
    cell: (row) =>
      Object.keys(row.labels).length ? (
        <LabelChips labels={row.labels} />
      ) : row.count === 1 ? (
        "1 target"
      ) : (
        `${count(row.count)} targets`
      ),
  },
  {
    name: "jobs",
    title: "Jobs",
    width: "minmax(8rem, 1fr)",
    cell: (row) => row.jobs.join(", "),
    sort: (row) => row.jobs.join(),
  },
  { name: "source", title: "Source", width: "minmax(8rem, 1fr)", cell: (row) => row.source || row.provider },
];

/** Which target came, went or got other labels in the last hour. */
export function ChangesTab({ search }: { search: string }) {
  const asked = useAsked(
    (signal) =>
      ask<{ since: string; more: boolean; changes: Change[] }>(
        "/discovery/changes",
        { limit: LIMIT },
        { signal },
      ),
    [],
    EVERY_MS,
  );
  return (
    <Loaded asked={asked}>
      {(answer) => {
        const rows = found(answer.data.changes, search, (row) => {
          const labels = Object.entries(row.labels).map(([name, value]) => `${name}=${value}`);
          return `${row.kind} ${row.jobs.join(" ")} ${row.provider} ${row.source} ${labels.join(" ")}`;
        });
        return (
          <>
            <p class="muted">
              Since <Time timeMs={parseApiTime(answer.data.since)} />, at most an hour.
              {answer.data.more ? ` The last ${count(LIMIT)} are shown.` : ""}
            </p>
            {rows.length ? (
              <DataTable
                label="Changes"
                columns={COLUMNS}
                rows={rows}
                keyOf={(row) =>
                  `${row.time} ${row.kind} ${row.provider} ${row.source} ${JSON.stringify(row.labels)}`
                }
              />
            ) : (
              <Empty title="No change">No target came or went, or none fits the search.</Empty>
            )}
          </>
        );
      }}
    </Loaded>
  );
}
