import { useMemo, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAsked } from "../../../api/asked";
import { ask } from "../../../api/client";
import { Badge } from "../../../components/badge";
import { Popover } from "../../../components/controls/popover";
import { SearchField } from "../../../components/controls/search";
import { Loaded } from "../../../components/states";
import { count } from "../../../values/numbers";
import { found } from "../../../values/search";
import { type Metadata, type Metric, metrics, selectorOf } from "../../explore/model";

const SHOWN = 50;

async function load(signal: AbortSignal): Promise<Metric[]> {
  const [names, known] = await Promise.all([
    ask<string[]>("/label/__name__/values", {}, { signal }),
    ask<Record<string, Metadata[]>>("/metadata", { limit_per_metric: 1 }, { signal }),
  ]);
  return metrics(names.data, known.data, new Map());
}

function Picker({ onChoose }: { onChoose: (selector: string) => void }) {
  const asked = useAsked(load, []);
  const [search, setSearch] = useState("");
  const fitting = useMemo(
    () => found(asked.data ?? [], search, (row) => `${row.name} ${row.type} ${row.help}`),
    [asked.data, search],
  );
  return (
    <div class="history">
      <SearchField
        value={search}
        onChange={setSearch}
        label="Search metrics"
        placeholder="Name, type, help"
      />
      <Loaded asked={asked}>
        {() => (
          <ul>
            {fitting.slice(0, SHOWN).map((row) => (
              <li key={row.name}>
                <button type="button" class="plain" onClick={() => onChoose(selectorOf(row.name))}>
                  <span>
                    <code>{row.name}</code> <Badge>{row.type}</Badge>
                    <span class="muted setting-about">{row.help}</span>
                  </span>
                </button>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <p class="row muted">
        {fitting.length > SHOWN ? `and ${count(fitting.length - SHOWN)} more.` : ""}
        <Link href={`/explore?${new URLSearchParams(search ? { search } : {})}`}>
          Labels and values: Explore
        </Link>
      </p>
    </div>
  );
}

/** All metrics, searched by name, type and help; one that is chosen is inserted at the cursor. */
export function MetricButton({ onChoose }: { onChoose: (selector: string) => void }) {
  return (
    <Popover button="Metrics">
      {(close) => (
        <Picker
          onChoose={(selector) => {
            close();
            onChoose(selector);
          }}
        />
      )}
    </Popover>
  );
}
