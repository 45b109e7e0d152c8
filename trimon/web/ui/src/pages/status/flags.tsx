import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { useUrlState } from "../../app/urlstate";
import { Page } from "../../components/page";
import { SearchField } from "../../components/search";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/table";
import { matches, words } from "../../values/search";

interface Flag {
  name: string;
  value: string;
}

const COLUMNS: readonly Column<Flag>[] = [
  {
    name: "name",
    title: "Flag",
    width: "minmax(12rem, 2fr)",
    cell: (flag) => <code>--{flag.name}</code>,
    sort: (flag) => flag.name,
  },
  {
    name: "value",
    title: "Value",
    width: "minmax(10rem, 3fr)",
    cell: (flag) => <code>{flag.value || "“”"}</code>,
    sort: (flag) => flag.value,
  },
];

/** Every flag of the command line and its value. */
export default function FlagsPage() {
  const flags = useAsked((signal) => ask<Record<string, string>>("/status/flags", {}, { signal }), []);
  const [search, setSearch] = useUrlState("search");
  return (
    <Page
      title="Flags"
      about="What the command line says, and what holds where it says nothing."
      actions={<SearchField value={search} onChange={setSearch} label="Search flags" />}
    >
      <Loaded asked={flags}>
        {(answer) => {
          const wanted = words(search);
          const rows = Object.entries(answer.data)
            .map(([name, value]) => ({ name, value }))
            .filter((flag) => matches(wanted, `${flag.name} ${flag.value}`));
          if (!rows.length)
            return <Empty title="No flag has these words">Empty the search to see all.</Empty>;
          return <DataTable label="Flags" columns={COLUMNS} rows={rows} keyOf={(flag) => flag.name} />;
        }}
      </Loaded>
    </Page>
  );
}
