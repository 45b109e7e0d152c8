import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { Facts } from "../../components/layout/page";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/tables/table";
import { Ago, Time } from "../../components/time";
import { count } from "../../values/numbers";
import { found } from "../../values/search";
import { parseApiTime } from "../../values/time/times";

export interface Provider {
  id: string;
  name: string;
  index: number;
  address: string;
  mechanism: string;
  kind: string;
  jobs: string[];
  state: string;
  published: boolean;
  targets: number;
  groups: number;
  publishes: number;
  lastPublish: string;
  lastSuccess: string;
  lastError: string;
  lastErrorTime: string;
  refreshes: number;
  refreshFailures: number;
  restarts: number;
  fields: Record<string, unknown>;
}

const EVERY_MS = 5000;

/** Whether a provider's last news is an error. */
export function isFailing(provider: Provider): boolean {
  return (
    ["failed", "quarantined", "backoff"].includes(provider.state) ||
    (provider.lastError !== "" && parseApiTime(provider.lastErrorTime) >= parseApiTime(provider.lastSuccess))
  );
}

function stateOf(provider: Provider) {
  if (isFailing(provider)) return <Badge tone="bad">failing</Badge>;
  if (!provider.published) return <Badge tone="warn">nothing yet</Badge>;
  return <Badge tone="good">well</Badge>;
}

const COLUMNS: readonly Column<Provider>[] = [
  {
    name: "provider",
    title: "Provider",
    width: "minmax(12rem, 2fr)",
    cell: (row) => (
      <>
        <code>{row.name}</code>
        {row.address ? <div class="muted">{row.address}</div> : null}
        {isFailing(row) ? <p class="bad-text">{row.lastError || row.state}</p> : null}
      </>
    ),
    sort: (row) => row.name,
  },
  {
    name: "state",
    title: "State",
    width: "7rem",
    cell: stateOf,
    sort: (row) => (isFailing(row) ? 0 : row.published ? 2 : 1),
  },
  {
    name: "jobs",
    title: "Jobs",
    width: "minmax(8rem, 1fr)",
    cell: (row) =>
      row.jobs.length > 3
        ? `${row.jobs.slice(0, 3).join(", ")} and ${row.jobs.length - 3} more`
        : row.jobs.join(", "),
    sort: (row) => row.jobs.join(),
  },
  {
    name: "targets",
    title: "Targets",
    width: "6rem",
    cell: (row) => count(row.targets),
    sort: (row) => row.targets,
    isNumber: true,
  },
  {
    name: "success",
    title: "Last success",
    width: "8rem",
    cell: (row) => <Ago timeMs={parseApiTime(row.lastSuccess)} />,
    sort: (row) => parseApiTime(row.lastSuccess),
    isNumber: true,
  },
  {
    name: "failures",
    title: "Failures",
    width: "6rem",
    cell: (row) => (
      <span class={row.refreshFailures ? "bad-text" : "muted"}>{count(row.refreshFailures)}</span>
    ),
    sort: (row) => row.refreshFailures,
    isNumber: true,
  },
];

function Detail({ provider }: { provider: Provider }) {
  return (
    <Facts
      facts={[
        ["mechanism", provider.mechanism],
        ["finds", provider.kind === "scrape" ? "targets" : "Alertmanagers"],
        ["jobs", provider.jobs.join(", ")],
        ["groups", count(provider.groups)],
        ["published", `${count(provider.publishes)} times`],
        ["last published", <Time key="p" timeMs={parseApiTime(provider.lastPublish)} />],
        ["asked", `${count(provider.refreshes)} times, ${count(provider.refreshFailures)} failed`],
        ["restarts", count(provider.restarts)],
        ["last error", provider.lastError || "none"],
        ["last error at", <Time key="e" timeMs={parseApiTime(provider.lastErrorTime)} />],
        ...Object.entries(provider.fields).map(
          ([name, value]) =>
            [name.replaceAll("_", " "), typeof value === "string" ? value : JSON.stringify(value)] as const,
        ),
      ]}
    />
  );
}

/** Who finds targets, and how each does. */
export function ProvidersTab({ search }: { search: string }) {
  const asked = useAsked(
    (signal) => ask<{ providers: Provider[] }>("/discovery", {}, { signal }),
    [],
    EVERY_MS,
  );
  return (
    <Loaded asked={asked}>
      {(answer) => {
        const rows = found(
          answer.data.providers,
          search,
          (row) => `${row.name} ${row.address} ${row.mechanism} ${row.jobs.join(" ")} ${row.lastError}`,
        );
        if (!rows.length)
          return <Empty title="No provider">The configuration has none, or none fits the search.</Empty>;
        return (
          <DataTable
            label="Providers"
            columns={COLUMNS}
            rows={rows}
            keyOf={(row) => `${row.id} ${row.name}`}
            nameOf={(row) => row.name}
            detail={(row) => <Detail provider={row} />}
            isRanked={search !== ""}
            initialSort={{ column: "state", descending: false }}
          />
        );
      }}
    </Loaded>
  );
}
