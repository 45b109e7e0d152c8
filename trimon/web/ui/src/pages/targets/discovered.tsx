import { useMemo } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { FilterChips } from "../../components/controls/chips";
import { Choice } from "../../components/controls/choice";
import { LabelChips } from "../../components/labels";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/tables/table";
import { useUrlState } from "../../state/urlstate";
import type { Labels } from "../../values/labels";
import { count } from "../../values/numbers";
import { found } from "../../values/search";
import { EmptyPools } from "./emptypools";
import { poolCounts } from "./model";
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
const NO_COUNTS: Record<string, number> = {};

function discovered(data: ApiTargets): Found[] {
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
  // Prometheus' links say "state".
  const [show, setShow] = useUrlState("state", "", "show");
  const [pool, setPool] = useUrlState("pool");
  const everything = useMemo(() => (asked.data ? discovered(asked.data.data) : []), [asked.data]);
  const all = useMemo(() => everything.filter((row) => !pool || row.pool === pool), [everything, pool]);
  const counts = asked.data?.data.droppedTargetCounts ?? NO_COUNTS;
  const pools = useMemo(() => poolCounts(everything, counts), [everything, counts]);
  const chips = useMemo(() => {
    const having = new Set(found(everything, search, text).map((row) => row.pool));
    return pools
      .filter(({ name }) => !search || having.has(name) || name === pool || name.includes(search))
      .map(({ name, active, total }) => ({
        name,
        counts: `${count(active)}/${count(total)} scraped`,
        isUnwell: active === 0,
      }));
  }, [pools, everything, search, pool]);
  const rows = useMemo(
    () =>
      found(
        all.filter((row) => !show || (show === "dropped") === (row.labels === undefined)),
        search,
        text,
      ),
    [all, search, show],
  );
  const chosen = pools.filter(({ name }) => !pool || name === pool);
  const total = chosen.reduce((sum, each) => sum + each.total, 0);
  const active = chosen.reduce((sum, each) => sum + each.active, 0);
  const unkept = total - all.length;
  const empty = chosen.filter((each) => !each.active).map(({ name }) => name);
  return (
    <Loaded asked={asked}>
      {() => (
        <>
          <FilterChips label="Scrape pools" chips={chips} chosen={pool} onChoose={setPool} />
          <div class="row">
            <Choice
              label="Which targets"
              value={show}
              choices={[
                ["", `All ${count(total)}`],
                ["active", `Scraped ${count(active)}`],
                ["dropped", `Dropped ${count(total - active)}`],
              ]}
              onChange={setShow}
            />
          </div>
          {unkept > 0 && show !== "active" ? (
            <p class="notice info">
              {unkept === 1 ? "1 dropped target more is" : `${count(unkept)} dropped targets more are`}{" "}
              counted, and not kept: keep_dropped_targets.
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
          ) : pool && empty.includes(pool) ? null : (
            <Empty title="No target">Discovery found none, or none fits the search.</Empty>
          )}
          {empty.length ? <EmptyPools key={pool} pools={empty} isOpen={pool !== ""} /> : null}
        </>
      )}
    </Loaded>
  );
}
