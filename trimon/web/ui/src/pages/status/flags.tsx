import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { SearchPage, useSearch } from "../../components/layout/searchpage";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/tables/table";
import { useUrlState } from "../../state/urlstate";
import { found } from "../../values/search";

interface Flag {
  name: string;
  value: string;
  default: string;
  given: boolean;
  own: boolean;
  help: string;
  /** Why nothing acts on it; empty when something does. */
  no_effect: string;
}

function Value({ flag }: { flag: Flag }) {
  const shown = flag.value || "(empty)";
  const isDefault = flag.value === flag.default;
  if (isDefault && !flag.given) return <code class="muted">{shown}</code>;
  return (
    <>
      <code>{shown}</code> {flag.given ? <Badge tone="info">given</Badge> : null}
      {isDefault ? null : (
        <div class="muted">
          {flag.given ? "" : "comes from other flags; "}default <code>{flag.default || "(empty)"}</code>
        </div>
      )}
    </>
  );
}

const COLUMNS: readonly Column<Flag>[] = [
  {
    name: "name",
    title: "Flag",
    width: "minmax(14rem, 2fr)",
    cell: (flag) => <code>--{flag.name}</code>,
    sort: (flag) => flag.name,
  },
  {
    name: "value",
    title: "Value",
    width: "minmax(10rem, 2fr)",
    cell: (flag) => <Value flag={flag} />,
    sort: (flag) => `${flag.given ? "0" : "1"}${flag.value}`,
  },
  {
    name: "help",
    title: "What it is for",
    width: "minmax(14rem, 3fr)",
    cell: (flag) => (
      <>
        {flag.help} {flag.no_effect ? <span class="muted">No effect: {flag.no_effect}.</span> : null}{" "}
        {flag.own ? <Badge>trimon's own</Badge> : null}
      </>
    ),
  },
];

function text(flag: Flag): string {
  return `--${flag.name} ${flag.name} ${flag.value} ${flag.help}`;
}

/** Every flag of the command line, its value, and what it is for. */
export default function FlagsPage() {
  const flags = useAsked((signal) => ask<Flag[]>("/trimon/flags", {}, { signal }), []);
  const [search] = useSearch();
  const [show, setShow] = useUrlState("show");
  return (
    <SearchPage
      title="Flags"
      about="What the command line says, and what holds where it says nothing."
      label="Search flags"
      actions={
        <label class="check">
          <input
            type="checkbox"
            checked={show === "changed"}
            onChange={(event) => setShow(event.currentTarget.checked ? "changed" : "")}
          />
          Given only
        </label>
      }
    >
      <Loaded asked={flags}>
        {(answer) => {
          const chosen = answer.data.filter((flag) => show !== "changed" || flag.given);
          const rows = found(chosen, search, text);
          if (!rows.length) return <Empty title="No flag fits">Empty the search to see all.</Empty>;
          return (
            <DataTable
              label="Flags"
              columns={COLUMNS}
              rows={rows}
              keyOf={(flag) => flag.name}
              isRanked={search !== ""}
              initialSort={{ column: "name", descending: false }}
            />
          );
        }}
      </Loaded>
    </SearchPage>
  );
}
