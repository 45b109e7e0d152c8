import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useTop, useWindowRows } from "./virtual";

/** The body of a table whose rows stand on the page: those alone are drawn that the window shows, each as high as it is. */
export function WindowRows<R>({
  rows,
  rowPx,
  keyOf,
  first = -1,
  children,
}: {
  rows: readonly R[];
  /** How high a row is until it has been measured. */
  rowPx: number;
  keyOf: (row: R) => string;
  /** The row that is to be seen at first; -1 for none. */
  first?: number;
  children: (row: R, at: number) => ComponentChildren;
}) {
  const body = useRef<HTMLDivElement>(null);
  const margin = useTop(body);
  const drawn = useWindowRows({
    count: rows.length,
    estimate: () => rowPx,
    margin,
    keyOf: (at) => {
      const row = rows[at];
      return row === undefined ? at : keyOf(row);
    },
  });
  const isShown = useRef(false);
  useEffect(() => {
    if (first < 0 || isShown.current) return;
    isShown.current = true;
    drawn.scrollToIndex(first, { align: "auto" });
  }, [first, drawn]);
  return (
    <div role="rowgroup" class="table-body" ref={body} style={{ height: `${drawn.getTotalSize()}px` }}>
      {drawn.getVirtualItems().map((item) => {
        const row = rows[item.index];
        return row === undefined ? null : (
          <div
            key={item.key}
            ref={drawn.measureElement}
            data-index={item.index}
            class="table-place"
            style={{ transform: `translateY(${item.start - margin}px)` }}
          >
            {children(row, item.index)}
          </div>
        );
      })}
    </div>
  );
}
