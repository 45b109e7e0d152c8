import { useEffect, useRef, useState } from "preact/hooks";
import { SearchField } from "../../components/search";
import { Empty } from "../../components/states";
import { matches, words } from "../../values/search";
import { queryHistory } from "./history";

/** What was asked before in this browser, to be asked again. */
export function HistoryButton({ onChoose }: { onChoose: (expression: string) => void }) {
  const [isOpen, setOpen] = useState(false);
  const [search, setSearch] = useState("");
  const box = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const away = (event: Event) => {
      const isKey = event instanceof KeyboardEvent;
      if (isKey ? event.key === "Escape" : !box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("keydown", away);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("keydown", away);
    };
  }, [isOpen]);
  const found = queryHistory.value.filter((each) => matches(words(search), each));
  return (
    <span class="history" ref={box}>
      <button type="button" class="plain" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        History
      </button>
      {isOpen ? (
        <div class="history-box">
          {queryHistory.value.length ? (
            <>
              <SearchField value={search} onChange={setSearch} label="Search what was asked" />
              <ul>
                {found.map((expression) => (
                  <li key={expression}>
                    <button
                      type="button"
                      class="plain"
                      onClick={() => {
                        onChoose(expression);
                        setOpen(false);
                      }}
                    >
                      <code>{expression}</code>
                    </button>
                  </li>
                ))}
              </ul>
              <button
                type="button"
                class="plain"
                onClick={() => {
                  queryHistory.value = [];
                }}
              >
                Forget all
              </button>
            </>
          ) : (
            <Empty title="Nothing yet">What you run is kept here, in this browser alone.</Empty>
          )}
        </div>
      ) : null}
    </span>
  );
}
