import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { Facts } from "../../components/layout/page";
import { SearchPage, useSearch } from "../../components/layout/searchpage";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/tables/table";
import { Ago, Time } from "../../components/time";
import { count } from "../../values/numbers";
import { found } from "../../values/search";
import { parseApiTime } from "../../values/time/times";

interface Problem {
  level: string;
  message: string;
  fields: Record<string, unknown>;
  first: string;
  last: string;
  count: number;
}

const EVERY_MS = 5000;

function said(problem: Problem): string {
  return Object.entries(problem.fields)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join("  ");
}

const COLUMNS: readonly Column<Problem>[] = [
  {
    name: "level",
    title: "Level",
    width: "5.5rem",
    cell: (row) => <Badge tone={row.level === "warning" ? "warn" : "bad"}>{row.level}</Badge>,
    sort: (row) => row.level,
  },
  {
    name: "message",
    title: "Message",
    width: "minmax(0, 1fr)",
    cell: (row) => (
      <>
        {row.message}
        <div class="muted mono">{said(row)}</div>
      </>
    ),
    sort: (row) => row.message,
  },
  {
    name: "count",
    title: "Times",
    width: "5rem",
    cell: (row) => count(row.count),
    sort: (row) => row.count,
    isNumber: true,
  },
  {
    name: "last",
    title: "Last",
    width: "9rem",
    cell: (row) => <Ago timeMs={parseApiTime(row.last)} />,
    sort: (row) => parseApiTime(row.last),
    isNumber: true,
  },
];

function Detail({ problem }: { problem: Problem }) {
  return (
    <Facts
      facts={[
        ["first", <Time key="first" timeMs={parseApiTime(problem.first)} />],
        ["last", <Time key="last" timeMs={parseApiTime(problem.last)} />],
        ...Object.entries(problem.fields).map(
          ([name, value]) => [name, <code key={name}>{String(value)}</code>] as const,
        ),
      ]}
    />
  );
}

/** The last warnings and errors of the log. */
export default function ProblemsPage() {
  const problems = useAsked((signal) => ask<Problem[]>("/trimon/problems", {}, { signal }), [], EVERY_MS);
  const [search] = useSearch();
  return (
    <SearchPage
      title="Problems"
      about="The last warnings and errors of the log since the server started, equal ones counted."
      label="Search problems"
    >
      <Loaded asked={problems}>
        {(answer) => {
          const rows = found(answer.data, search, (row) => `${row.level} ${row.message} ${said(row)}`);
          if (!answer.data.length)
            return <Empty title="No problems">Nothing was worth a warning since the start.</Empty>;
          if (!rows.length)
            return <Empty title="No problem has these words">Empty the search to see all.</Empty>;
          return (
            <DataTable
              label="Problems"
              columns={COLUMNS}
              rows={rows}
              keyOf={(row) => `${row.level} ${row.first} ${row.message} ${said(row)}`}
              nameOf={(row) => row.message}
              detail={(row) => <Detail problem={row} />}
              isRanked={search !== ""}
              initialSort={{ column: "last", descending: true }}
            />
          );
        }}
      </Loaded>
    </SearchPage>
  );
}
