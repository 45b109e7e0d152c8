import { useState } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { useUrlState } from "../../app/urlstate";
import { Page } from "../../components/page";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/table";
import { type Labels, seriesName } from "../../values/labels";

interface Sample {
  metric: Labels;
  value: [number, string];
}

const COLUMNS: readonly Column<Sample>[] = [
  {
    name: "series",
    title: "Series",
    width: "minmax(0, 1fr)",
    cell: (row) => <code>{seriesName(row.metric)}</code>,
    sort: (row) => seriesName(row.metric),
  },
  {
    name: "value",
    title: "Value",
    width: "12rem",
    cell: (row) => row.value[1],
    sort: (row) => Number(row.value[1]),
    isNumber: true,
  },
];

function Answered({ expression }: { expression: string }) {
  const asked = useAsked(
    (signal) => ask<{ result: Sample[] }>("/query", { query: expression }, { signal, post: true }),
    [expression],
  );
  return (
    <Loaded asked={asked}>
      {(answer) =>
        answer.data.result.length ? (
          <DataTable
            label="Result"
            columns={COLUMNS}
            rows={answer.data.result}
            keyOf={(row) => seriesName(row.metric)}
          />
        ) : (
          <Empty title="No series">Nothing that is stored matches now.</Empty>
        )
      }
    </Loaded>
  );
}

/** Asks one expression and shows its series. */
export default function QueryPage() {
  const [expression, setExpression] = useUrlState("g0.expr");
  const [typed, setTyped] = useState(expression);
  return (
    <Page title="Query">
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          setExpression(typed);
        }}
      >
        <input
          aria-label="Expression"
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <button type="submit" class="primary">
          Run
        </button>
      </form>
      {expression ? <Answered expression={expression} /> : null}
    </Page>
  );
}
