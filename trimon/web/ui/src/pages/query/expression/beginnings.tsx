import { Link } from "wouter-preact";
import { queryHistory } from "./history";

const SHOWN = 5;
const FIRST: readonly (readonly [string, string, string])[] = [
  ["Which targets are up", "up", "graph"],
  ["What fires now", 'ALERTS{alertstate="firing"}', "table"],
  ["Which metrics have most series", 'topk(10, count by (__name__) ({__name__=~".+"}))', "table"],
  ["Samples of each scrape", "sum by (job) (scrape_samples_scraped)", "graph"],
];

/** What a panel that asks nothing offers: what was asked last in this browser, and something to begin with. */
export function Beginnings({ onChoose }: { onChoose: (expression: string, tab: "table" | "graph") => void }) {
  const past = queryHistory.value.slice(0, SHOWN);
  return (
    <div class="beginnings">
      <p class="muted">
        Type an expression, then Enter. Ctrl-Space completes, Shift-Enter begins a new line. All metrics are
        under <Link href="/explore">Explore</Link>.
      </p>
      <div class="columns">
        <section>
          <h3>To begin with</h3>
          <ul>
            {FIRST.map(([title, expression, tab]) => (
              <li key={title}>
                <button
                  type="button"
                  class="plain"
                  onClick={() => onChoose(expression, tab as "table" | "graph")}
                >
                  {title} <code class="muted">{expression}</code>
                </button>
              </li>
            ))}
          </ul>
        </section>
        {past.length ? (
          <section>
            <h3>Asked before</h3>
            <ul>
              {past.map((expression) => (
                <li key={expression}>
                  <button type="button" class="plain" onClick={() => onChoose(expression, "table")}>
                    <code>{expression}</code>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        ) : null}
      </div>
    </div>
  );
}
