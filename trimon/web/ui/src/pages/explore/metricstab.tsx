import { useMemo } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/tables/table";
import { count } from "../../values/numbers";
import { found } from "../../values/search";
import { MetricDetail } from "./metricdetail";
import { type Metadata, type Metric, metrics } from "./model";

interface Named {
  name: string;
  value: number;
}

const COUNTED_MAX = 10_000;

const COLUMNS: readonly Column<Metric>[] = [
  {
    name: "name",
    title: "Metric",
    width: "minmax(14rem, 2fr)",
    cell: (row) => <code>{row.name}</code>,
    sort: (row) => row.name,
  },
  {
    name: "type",
    title: "Type",
    width: "7rem",
    cell: (row) => <Badge>{row.type}</Badge>,
    sort: (row) => row.type,
  },
  {
    name: "help",
    title: "What it is",
    width: "minmax(12rem, 3fr)",
    cell: (row) => (
      <>
        {row.help}
        {row.unit ? <span class="muted"> ({row.unit})</span> : null}
      </>
    ),
  },
  {
    name: "series",
    title: "Series",
    width: "6rem",
    cell: (row) => (row.series === undefined ? <span class="muted">–</span> : count(row.series)),
    sort: (row) => row.series ?? 0,
    isNumber: true,
  },
];

async function load(signal: AbortSignal): Promise<Metric[]> {
  const [names, known, tsdb] = await Promise.all([
    ask<string[]>("/label/__name__/values", {}, { signal }),
    ask<Record<string, Metadata[]>>("/metadata", { limit_per_metric: 1 }, { signal }),
    ask<{ seriesCountByMetricName: Named[] }>("/status/tsdb", { limit: COUNTED_MAX }, { signal }),
  ]);
  const counts = new Map(tsdb.data.seriesCountByMetricName.map((each) => [each.name, each.value]));
  return metrics(names.data, known.data, counts);
}

/** All metrics, to be searched by name, type and help. */
export function MetricsTab({ search }: { search: string }) {
  const asked = useAsked(load, []);
  const rows = useMemo(
    () => found(asked.data ?? [], search, (row) => `${row.name} ${row.type} ${row.help} ${row.unit}`),
    [asked.data, search],
  );
  return (
    <Loaded asked={asked}>
      {(all) =>
        rows.length ? (
          <>
            <p class="muted" role="status">
              {rows.length === all.length
                ? `${count(all.length)} metrics`
                : `${count(rows.length)} of ${count(all.length)} metrics`}
            </p>
            <DataTable
              label="Metrics"
              columns={COLUMNS}
              rows={rows}
              keyOf={(row) => row.name}
              nameOf={(row) => row.name}
              detail={(row) => <MetricDetail metric={row} />}
              inUrl
            />
          </>
        ) : all.length ? (
          <Empty title="No metric has these words">Names, types and help texts are searched.</Empty>
        ) : (
          <Empty title="Nothing is stored yet">Look under Targets whether anything is scraped.</Empty>
        )
      }
    </Loaded>
  );
}
