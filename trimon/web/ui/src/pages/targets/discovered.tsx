import { useMemo } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { useUrlState } from "../../app/urlstate";
import { Badge } from "../../components/badge";
import { Choice } from "../../components/choice";
import { LabelChips } from "../../components/labels";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/table";
import type { Labels } from "../../values/labels";
import { count } from "../../values/numbers";
import { matches, words } from "../../values/search";
import { RelabelSteps } from "./relabelsteps";

interface ApiTargets {
  activeTargets: { discoveredLabels: Labels; labels: Labels; scrapePool: string }[];
  droppedTargets: { discoveredLabels: Labels; scrapePool?: string }[];
  droppedTargetCounts: Record<string, number>;
}

interface Found {
  key: string;
  pool: string;
  discovered: Labels;
  labels: Labels | undefined;
}

const EVERY_MS = 15_000;

function found(data: ApiTargets): Found[] {
  const active = data.activeTargets.map((each) => ({
    pool: each.scrapePool,
    discovered: each.discoveredLabels,
    labels: each.labels,
  }));
  const dropped = data.droppedTargets.map((each) => ({
    pool: each.scrapePool ?? each.discoveredLabels.job ?? "",
    discovered: each.discoveredLabels,
    labels: undefined,
  }));
  return [...active, ...dropped].map((each, at) => ({
    ...each,
    key: `${at} ${each.discovered.__address__ ?? ""}`,
  }));
}

// What every target has from its job's defaults says nothing of where it comes from.
const DEFAULTS = [
  "__always_scrape_classic_histograms__",
  "__convert_classic_histograms_to_nhcb__",
  "__metrics_path__",
  "__scheme__",
  "__scrape_interval__",
  "__scrape_native_histograms__",
  "__scrape_timeout__",
];

const COLUMNS: readonly Column<Found>[] = [
  {
    name: "pool",
    title: "Scrape pool",
    width: "minmax(7rem, 1fr)",
    cell: (row) => row.pool,
    sort: (row) => row.pool,
  },
  {
    name: "discovered",
    title: "As discovered",
    width: "minmax(14rem, 3fr)",
    cell: (row) => <LabelChips labels={row.discovered} without={DEFAULTS} />,
    sort: (row) => row.discovered.__address__ ?? "",
  },
  {
    name: "labels",
    title: "As scraped",
    width: "minmax(12rem, 2fr)",
    cell: (row) =>
      row.labels ? <LabelChips labels={row.labels} /> : <Badge tone="warn">dropped by relabeling</Badge>,
    sort: (row) => (row.labels ? 0 : 1),
  },
];

function text(row: Found): string {
  const labels = Object.entries({ ...row.discovered, ...row.labels }).map(
    ([name, value]) => `${name}=${value}`,
  );
  return `${row.pool} ${labels.join(" ")} ${row.labels ? "" : "dropped"}`;
}

/** What discovery found for each job, and what relabeling made of it. */
export function DiscoveredTab({ search }: { search: string }) {
  const asked = useAsked((signal) => ask<ApiTargets>("/targets", {}, { signal }), [], EVERY_MS);
  const [show, setShow] = useUrlState("show");
  const [pool, setPool] = useUrlState("pool");
  const everything = useMemo(() => (asked.data ? found(asked.data.data) : []), [asked.data]);
  const all = useMemo(() => everything.filter((row) => !pool || row.pool === pool), [everything, pool]);
  const pools = useMemo(() => [...new Set(everything.map((row) => row.pool))].sort(), [everything]);
  const rows = useMemo(() => {
    const wanted = words(search);
    return all.filter(
      (row) => (!show || (show === "dropped") === (row.labels === undefined)) && matches(wanted, text(row)),
    );
  }, [all, search, show]);
  const dropped = all.filter((row) => !row.labels).length;
  const counts = asked.data?.data.droppedTargetCounts ?? {};
  const droppedInAll = Object.entries(counts).reduce(
    (sum, [name, each]) => (pool && name !== pool ? sum : sum + each),
    0,
  );
  return (
    <Loaded asked={asked}>
      {() => (
        <>
          <div class="row">
            {pools.length > 1 ? (
              <select
                aria-label="Scrape pool"
                value={pool}
                onChange={(event) => setPool(event.currentTarget.value)}
              >
                <option value="">All pools</option>
                {pools.map((name) => (
                  <option key={name} value={name}>
                    {name}
                  </option>
                ))}
              </select>
            ) : null}
            <Choice
              label="Which targets"
              value={show}
              choices={[
                ["", `All ${count(all.length)}`],
                ["active", `Scraped ${count(all.length - dropped)}`],
                ["dropped", `Dropped ${count(Math.max(dropped, droppedInAll))}`],
              ]}
              onChange={setShow}
            />
          </div>
          {droppedInAll > dropped ? (
            <p class="notice info">
              {count(droppedInAll - dropped)} dropped targets more are counted, and not kept:
              keep_dropped_targets.
            </p>
          ) : null}
          {rows.length ? (
            <DataTable
              label="Discovered targets"
              columns={COLUMNS}
              rows={rows}
              keyOf={(row) => row.key}
              nameOf={(row) => row.discovered.__address__ ?? row.pool}
              detail={(row) => (
                <>
                  <p class="muted">All labels as discovered, and what each rule makes of them:</p>
                  <LabelChips labels={row.discovered} />
                  <RelabelSteps pool={row.pool} labels={row.discovered} />
                </>
              )}
            />
          ) : (
            <Empty title="No target">Discovery found none, or none fits the search.</Empty>
          )}
        </>
      )}
    </Loaded>
  );
}
