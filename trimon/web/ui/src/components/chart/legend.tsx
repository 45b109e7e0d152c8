import { useMemo, useRef, useState } from "preact/hooks";
import { isDark } from "../../state/preferences";
import { count, shorts } from "../../values/numbers";
import { matches, words } from "../../values/search";
import { SearchField } from "../controls/search";
import { useBoxRows } from "../tables/virtual";
import { type Column, colour, type Summary, summary } from "./chartdata";

interface Properties {
  names: readonly string[];
  columns: readonly Column[];
  shown: readonly boolean[];
  onShow: (shown: boolean[]) => void;
  sortedBy?: (typeof FIELDS)[number];
}

const ROW_PX = 27;
const FIELDS = ["min", "average", "max", "last"] as const;
// Of so few no search is needed.
const SEARCH_FROM = 8;

function Row({
  at,
  name,
  sums,
  isShown,
  onToggle,
}: {
  at: number;
  name: string;
  sums: Summary | undefined;
  isShown: boolean;
  onToggle: (alone: boolean) => void;
}) {
  const texts = sums ? shorts(FIELDS.map((field) => sums[field])) : undefined;
  return (
    <button
      type="button"
      class={isShown ? "legend-row" : "legend-row off"}
      aria-pressed={isShown}
      title="Click: show this one alone, or all again. With Ctrl: show or hide this one."
      onClick={(event) => onToggle(!(event.ctrlKey || event.metaKey))}
    >
      <span class="swatch" style={{ background: colour(at, isDark()) }} />
      <span class="legend-name">{name}</span>
      {FIELDS.map((field, place) => (
        <span class="legend-value" key={field} title={sums ? String(sums[field]) : ""}>
          {texts?.[place] ?? "–"}
        </span>
      ))}
    </button>
  );
}

/** All series with what they do in the shown time. A click shows one alone, with Ctrl adds or takes one away; text filters. */
export function Legend({ names, columns, shown, onShow, sortedBy }: Properties) {
  const [search, setSearch] = useState("");
  const [by, setBy] = useState<(typeof FIELDS)[number] | undefined>(sortedBy);
  const box = useRef<HTMLDivElement>(null);
  const sums = useMemo(() => columns.map(summary), [columns]);
  const places = useMemo(() => {
    const wanted = words(search);
    const found = names.flatMap((name, at) => (matches(wanted, name) ? [at] : []));
    if (by)
      found.sort(
        (a, b) => (sums[b]?.[by] ?? Number.NEGATIVE_INFINITY) - (sums[a]?.[by] ?? Number.NEGATIVE_INFINITY),
      );
    return found;
  }, [names, search, by, sums]);
  const rows = useBoxRows({ count: places.length, estimate: () => ROW_PX, box: () => box.current });
  // What the text finds is what is drawn; where it finds nothing the drawing stays.
  const filter = (text: string) => {
    setSearch(text);
    const found = names.map((name) => matches(words(text), name));
    if (found.some(Boolean)) onShow(found);
  };
  const toggle = (at: number, alone: boolean) => {
    if (!alone) onShow(shown.map((each, place) => (place === at ? !each : each)));
    else {
      const isAlone = shown[at] && shown.filter(Boolean).length === 1;
      onShow(shown.map((_, place) => isAlone || place === at));
    }
  };
  return (
    <section class="legend" aria-label="Series">
      <div class="legend-head">
        <span class="row">
          {names.length >= SEARCH_FROM ? (
            <>
              <SearchField value={search} onChange={filter} label="Filter series" />
              {search ? <span class="muted">{count(places.length)} match</span> : null}
            </>
          ) : null}
          {shown.every(Boolean) ? null : (
            <button type="button" class="plain" onClick={() => onShow(shown.map(() => true))}>
              Show all
            </button>
          )}
        </span>
        {FIELDS.map((field) => (
          <button
            type="button"
            class="plain legend-value"
            key={field}
            aria-pressed={by === field}
            onClick={() => setBy(by === field ? undefined : field)}
          >
            {field}
            {by === field ? " ↓" : ""}
          </button>
        ))}
      </div>
      <div class="legend-box" ref={box} style={{ height: `${Math.min(10, places.length) * ROW_PX}px` }}>
        <div class="legend-whole" style={{ height: `${rows.getTotalSize()}px` }}>
          {rows.getVirtualItems().map((item) => {
            const at = places[item.index];
            if (at === undefined) return null;
            return (
              <div key={item.key} class="legend-place" style={{ transform: `translateY(${item.start}px)` }}>
                <Row
                  at={at}
                  name={names[at] ?? ""}
                  sums={sums[at]}
                  isShown={shown[at] ?? false}
                  onToggle={(alone) => toggle(at, alone)}
                />
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}
