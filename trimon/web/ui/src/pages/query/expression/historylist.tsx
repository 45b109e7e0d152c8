import { useState } from "preact/hooks";
import { Popover } from "../../../components/controls/popover";
import { SearchField } from "../../../components/controls/search";
import { Empty } from "../../../components/states";
import { matches, words } from "../../../values/search";
import { queryHistory } from "./history";
import { isOn } from "./settings";

function Past({ onChoose }: { onChoose: (expression: string) => void }) {
  const [search, setSearch] = useState("");
  const found = queryHistory.value.filter((each) => matches(words(search), each));
  if (!queryHistory.value.length) {
    return (
      <Empty title="Nothing yet">
        {isOn("history")
          ? "What you run is kept here, in this browser alone."
          : "The settings say that what you run is not remembered."}
      </Empty>
    );
  }
  return (
    <>
      <SearchField value={search} onChange={setSearch} label="Search what was asked" />
      <ul>
        {found.map((expression) => (
          <li key={expression}>
            <button type="button" class="plain" onClick={() => onChoose(expression)}>
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
  );
}

/** What was asked before in this browser, to be asked again. */
export function HistoryButton({ onChoose }: { onChoose: (expression: string) => void }) {
  return (
    <Popover button="History">
      {(close) => (
        <div class="history">
          <Past
            onChoose={(expression) => {
              onChoose(expression);
              close();
            }}
          />
        </div>
      )}
    </Popover>
  );
}
