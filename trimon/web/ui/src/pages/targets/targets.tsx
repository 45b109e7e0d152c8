import { useMemo } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { FilterChips } from "../../components/controls/chips";
import { Choices } from "../../components/controls/choices";
import { LabelChips } from "../../components/labels";
import { SearchPage, useSearch } from "../../components/layout/searchpage";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/tables/table";
import { Ago } from "../../components/time";
import { useUrlSet, useUrlState } from "../../state/urlstate";
import { count } from "../../values/numbers";
import { found } from "../../values/search";
import { humanDuration } from "../../values/time/durations";
import { parseApiTime } from "../../values/time/times";
import { EmptyPools } from "./emptypools";
import { Endpoint } from "./endpoint";
import { FaultText, TargetDetail } from "./lastscrapes";
import { healths, pools, type Target, toneOf } from "./model";
import "../../styles/targets.css";

const EVERY_MS = 10_000;
const LIMIT = 1_000_000;

const COLUMNS: readonly Column<Target>[] = [
  {
    name: "endpoint",
    title: "Endpoint",
    width: "minmax(14rem, 2.2fr)",
    cell: (row) => <Endpoint target={row} />,
    sort: (row) => row.scrapeUrl,
  },
  {
    name: "state",
    title: "State",
    width: "5.5rem",
    cell: (row) => <Badge tone={toneOf(row.health)}>{row.health}</Badge>,
    sort: (row) =>
      `${row.health === "up" ? 2 : row.health === "down" ? 0 : 1} ${row.scrapePool} ${row.scrapeUrl}`,
  },
  {
    name: "pool",
    title: "Scrape pool",
    width: "minmax(6rem, 1fr)",
    cell: (row) => row.scrapePool,
    sort: (row) => row.scrapePool,
  },
  {
    name: "labels",
    title: "Labels",
    width: "minmax(10rem, 2fr)",
    cell: (row) => <LabelChips labels={row.labels} />,
  },
  {
    name: "last",
    title: "Last scrape",
    width: "7.5rem",
    cell: (row) => <Ago timeMs={parseApiTime(row.lastScrape?.time)} />,
    sort: (row) => parseApiTime(row.lastScrape?.time),
    isNumber: true,
  },
  {
    name: "duration",
    title: "Took",
    width: "5rem",
    cell: (row) => (row.lastScrape ? humanDuration(row.lastScrape.duration * 1000) : "–"),
    sort: (row) => row.lastScrape?.duration ?? 0,
    isNumber: true,
  },
  {
    name: "samples",
    title: "Samples",
    width: "5.5rem",
    cell: (row) => (row.lastScrape ? count(row.lastScrape.samples) : "–"),
    sort: (row) => row.lastScrape?.samples ?? 0,
    isNumber: true,
  },
];

const HEALTHS = [
  ["up", "Up"],
  ["down", "Down"],
  ["unknown", "Unknown"],
] as const;

/** Why a target is down. */
function Wrong({ target }: { target: Target }) {
  const last = target.lastScrape;
  if (!last?.error) return null;
  return (
    <>
      <span class="bad-text">{last.error}</span>
      {last.fault ? <FaultText fault={last.fault} /> : null}
    </>
  );
}

function text(target: Target): string {
  const labels = Object.entries(target.labels).map(([name, value]) => `${name}=${value}`);
  return `${target.scrapeUrl} ${target.scrapePool} ${target.health} ${target.lastScrape?.error ?? ""} ${labels.join(" ")}`;
}

/** Every target that is scraped, how it does, and why it is down. */
export default function TargetsPage() {
  const asked = useAsked(
    (signal) => ask<{ targets: Target[] }>("/targets/scrapes", { limit: LIMIT }, { signal }),
    [],
    EVERY_MS,
  );
  const named = useAsked(
    (signal) => ask<{ scrapePools: string[] }>("/scrape_pools", {}, { signal }),
    [],
    EVERY_MS,
  );
  const [search] = useSearch();
  const [healthsWanted, setHealths] = useUrlSet("health");
  const healthKey = [...healthsWanted].join();
  const [pool, setPool] = useUrlState("pool");
  const targets = useMemo(() => asked.data?.data.targets ?? [], [asked.data]);
  const counts = healths(targets);
  const rows = useMemo(() => {
    const chosen = targets.filter(
      (target) =>
        (!healthsWanted.size || healthsWanted.has(target.health)) && (!pool || target.scrapePool === pool),
    );
    return found(chosen, search, text);
  }, [targets, search, healthKey, pool]);
  const every = useMemo(() => pools(targets, named.data?.data.scrapePools), [targets, named.data]);
  const chips = useMemo(() => {
    const having = new Set(found(targets, search, text).map((target) => target.scrapePool));
    return every
      .filter(
        ({ name, all }) => !search || having.has(name) || name === pool || (!all && name.includes(search)),
      )
      .map(({ name, up, all }) => ({
        name,
        counts: all ? `${count(up)}/${count(all)} up` : "no targets",
        isUnwell: up < all,
      }));
  }, [every, targets, search, pool]);
  const empty = every.filter(({ name, all }) => !all && (!pool || name === pool)).map(({ name }) => name);
  return (
    <SearchPage
      title="Targets"
      about="What is scraped, how each target does, and why it is down. Open a row for its last scrapes."
      label="Search targets"
      placeholder="Address, label, error"
      actions={
        <Choices
          label="Health"
          chosen={healthsWanted}
          all={asked.data ? `All ${count(targets.length)}` : "All"}
          choices={HEALTHS.map(
            ([name, title]) => [name, asked.data ? `${title} ${count(counts[name])}` : title] as const,
          )}
          onChange={setHealths}
        />
      }
    >
      <Loaded asked={asked}>
        {() => (
          <>
            <FilterChips label="Scrape pools" chips={chips} chosen={pool} onChoose={setPool} />
            {rows.length ? (
              <DataTable
                label="Targets"
                columns={COLUMNS}
                rows={rows}
                keyOf={(row) => row.id}
                nameOf={(row) => row.scrapeUrl}
                detail={(row) => <TargetDetail target={row} />}
                below={(row) => (row.lastScrape?.error ? <Wrong target={row} /> : null)}
                inUrl
                isRanked={search !== ""}
                initialSort={{ column: "state", descending: false }}
              />
            ) : pool && empty.includes(pool) ? null : targets.length ? (
              <Empty title="No target fits">
                {pool && named.data && !every.some(({ name }) => name === pool)
                  ? `There is no scrape pool named ${pool}.`
                  : "Empty the search, or choose all pools and states."}
              </Empty>
            ) : (
              <Empty title="Nothing is scraped">
                The configuration has no scrape_configs with targets, or discovery has found none yet: see
                Service discovery.
              </Empty>
            )}
            {empty.length ? <EmptyPools key={pool} pools={empty} isOpen={pool !== ""} /> : null}
          </>
        )}
      </Loaded>
    </SearchPage>
  );
}
