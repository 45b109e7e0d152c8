import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { useUrlSet, useUrlState } from "../../state/urlstate";
import { Icon } from "../icon";
import { WindowRows } from "./windowrows";

export interface Column<R> {
  name: string;
  title: ComponentChildren;
  /** A CSS grid width: "1fr", "8rem", "minmax(10rem, 2fr)". */
  width: string;
  cell: (row: R) => ComponentChildren;
  /** What the column is sorted by; without it there is no sorting by it. */
  sort?: (row: R) => number | string;
  isNumber?: boolean;
}

export interface Sorting {
  column: string;
  descending: boolean;
}

function compared(a: number | string, b: number | string): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

interface Properties<R> {
  label: string;
  columns: readonly Column<R>[];
  rows: readonly R[];
  keyOf: (row: R) => string;
  /** What stands below a row that is open. */
  detail?: (row: R) => ComponentChildren;
  initialSort?: Sorting;
  /** The rows stand in the order in which they fit a search, until somebody sorts them. */
  isRanked?: boolean;
  /** Rows that are open, and what the table is sorted by, stand in the URL; for one table of a page. */
  inUrl?: boolean;
  /** What a row is called, for those who do not see it. */
  nameOf?: (row: R) => string;
  /** What stands below a row always, over its whole width: errors are long. */
  below?: (row: R) => ComponentChildren;
}

const ROW_PX = 37;

/** What somebody sorted by: "samples" stands for ascending, "-samples" for descending. */
function useSorting(inUrl: boolean): [Sorting | undefined, (sorting: Sorting) => void] {
  const [own, setOwn] = useState("");
  const [shown, setShown] = useUrlState("sort");
  const text = inUrl ? shown : own;
  const descending = text.startsWith("-");
  const sorting = text ? { column: descending ? text.slice(1) : text, descending } : undefined;
  const change = ({ column, descending: turned }: Sorting) =>
    (inUrl ? setShown : setOwn)(`${turned ? "-" : ""}${column}`);
  return [sorting, change];
}

/** The keys of the rows that are open. In the URL each is a step back. */
function useOpen(inUrl: boolean): [ReadonlySet<string>, (open: ReadonlySet<string>) => void] {
  const [own, setOwn] = useState<ReadonlySet<string>>(new Set());
  const [shown, setShown] = useUrlSet("open", { isStep: true });
  return inUrl ? [shown, setShown] : [own, setOwn];
}

function useSorted<R>({ rows, columns, initialSort, isRanked, inUrl }: Properties<R>) {
  const [chosen, setSorting] = useSorting(inUrl ?? false);
  const { column, descending = false } = chosen ?? (isRanked ? undefined : initialSort) ?? {};
  const sorting = useMemo(() => (column ? { column, descending } : undefined), [column, descending]);
  const sorted = useMemo(() => {
    const by = columns.find((column) => column.name === sorting?.column)?.sort;
    if (!by || !sorting) return rows;
    const sign = sorting.descending ? -1 : 1;
    return rows
      .map((row) => ({ row, key: by(row) }))
      .sort((a, b) => sign * compared(a.key, b.key))
      .map((each) => each.row);
  }, [rows, columns, sorting]);
  return { sorted, sorting, setSorting };
}

/**
 * A table of any length: rows that the window does not show are not drawn. Its head sorts; rows may open.
 * It is a grid of ARIA roles, since absolute rows cannot stand in an HTML table.
 */
export function DataTable<R>(properties: Properties<R>) {
  const { columns, keyOf, detail } = properties;
  const { sorted, sorting, setSorting } = useSorted(properties);
  const [open, setOpen] = useOpen(properties.inUrl ?? false);
  // A link to a row that is open leads to it; what is opened here is seen already.
  const [linked] = useState(open);
  const first = linked.size ? sorted.findIndex((row) => linked.has(keyOf(row))) : -1;
  const widths = `${detail ? "1.75rem " : ""}${columns.map((column) => column.width).join(" ")}`;
  const toggle = (key: string) => {
    const next = new Set(open);
    if (!next.delete(key)) next.add(key);
    setOpen(next);
  };
  return (
    <div class="table" role="table" aria-label={properties.label} aria-rowcount={sorted.length + 1}>
      <div role="rowgroup" class="table-head">
        <div role="row" class="table-row" style={{ gridTemplateColumns: widths }}>
          {detail ? <span role="columnheader" aria-label="Open" /> : null}
          {columns.map((column) => (
            <Head key={column.name} column={column} sorting={sorting} onSort={setSorting} />
          ))}
        </div>
      </div>
      <WindowRows rows={sorted} rowPx={ROW_PX} keyOf={keyOf} first={first}>
        {(row, at) => {
          const key = keyOf(row);
          const isOpen = open.has(key);
          const note = properties.below?.(row);
          return (
            <>
              {/* biome-ignore lint/a11y/useKeyWithClickEvents: the button in the row does the same for the keyboard */}
              <div
                role="row"
                aria-rowindex={at + 2}
                class={detail ? "table-row opens" : "table-row"}
                onClick={detail ? (event) => isMeant(event) && toggle(key) : undefined}
                style={{ gridTemplateColumns: widths }}
              >
                {detail ? (
                  <span role="cell">
                    <button
                      type="button"
                      class="plain turn"
                      aria-expanded={isOpen}
                      aria-label={`${isOpen ? "Close" : "Open"} ${properties.nameOf?.(row) ?? "the row"}`}
                      onClick={() => toggle(key)}
                    >
                      <Icon name={isOpen ? "down" : "right"} />
                    </button>
                  </span>
                ) : null}
                {columns.map((column) => (
                  <span
                    role="cell"
                    key={column.name}
                    class={column.isNumber ? "cell number" : "cell"}
                    data-title={typeof column.title === "string" ? column.title : column.name}
                  >
                    {column.cell(row)}
                  </span>
                ))}
              </div>
              {note ? (
                <div role="row" class="table-below">
                  <div role="cell">{note}</div>
                </div>
              ) : null}
              {isOpen && detail ? (
                <div role="row" class="table-detail">
                  <div role="cell">{detail(row)}</div>
                </div>
              ) : null}
            </>
          );
        }}
      </WindowRows>
    </div>
  );
}

/** Whether a click is for the row: not on something that does something itself, and not the end of marking text. */
function isMeant(event: MouseEvent): boolean {
  const at = event.target as HTMLElement;
  return !at.closest("a, button, input, select, details") && !window.getSelection()?.toString();
}

function Head<R>({
  column,
  sorting,
  onSort,
}: {
  column: Column<R>;
  sorting: Sorting | undefined;
  onSort: (sorting: Sorting) => void;
}) {
  const isBy = sorting?.column === column.name;
  const order = isBy ? (sorting?.descending ? "descending" : "ascending") : "none";
  return (
    <span
      role="columnheader"
      class={column.isNumber ? "number" : ""}
      aria-sort={column.sort ? order : undefined}
    >
      {column.sort ? (
        <button
          type="button"
          class="plain sort"
          onClick={() =>
            onSort({
              column: column.name,
              descending: isBy ? !sorting?.descending : column.isNumber === true,
            })
          }
        >
          {column.title}
          <span class={`sort-mark ${order}`} aria-hidden="true" />
        </button>
      ) : (
        column.title
      )}
    </span>
  );
}
