import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Bars } from "../../components/bars";
import { Icon } from "../../components/icon";
import { Loaded } from "../../components/states";
import { labelName, quoted } from "../../values/labels";
import { count } from "../../values/numbers";
import { goodQuestion, type Metric } from "./model";

interface Sample {
  metric: Record<string, string>;
  value: [number, string];
}

const VALUES_SHOWN = 25;
const LABELS_MAX = 40;

/** A metric as a selector. */
export function selectorOf(name: string): string {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : `{${quoted(name)}}`;
}

function link(expression: string, tab: string, range = "1h"): string {
  return `/query?${new URLSearchParams({ "g0.expr": expression, "g0.tab": tab, "g0.range_input": range })}`;
}

async function valueCounts(
  selector: string,
  signal: AbortSignal,
): Promise<{ label: string; values: number }[]> {
  const names = await ask<string[]>(
    "/labels",
    { "match[]": [selector], start: Date.now() / 1000 - 3600 },
    { signal },
  );
  const labels = names.data.filter((name) => name !== "__name__").slice(0, LABELS_MAX);
  const found: { label: string; values: number }[] = [];
  for (const label of labels) {
    const query = `count(count by (${labelName(label)}) (${selector}))`;
    const answer = await ask<{ result: Sample[] }>("/query", { query }, { signal, post: true });
    found.push({ label, values: Number(answer.data.result[0]?.value[1] ?? 0) });
  }
  return found.sort((a, b) => b.values - a.values);
}

function Values({ selector, label }: { selector: string; label: string }) {
  const query = `topk(${VALUES_SHOWN}, count by (${labelName(label)}) (${selector}))`;
  const asked = useAsked(
    (signal) => ask<{ result: Sample[] }>("/query", { query }, { signal, post: true }),
    [query],
  );
  return (
    <Loaded asked={asked}>
      {(answer) => (
        <Bars
          label={`Series by ${label}`}
          bars={answer.data.result
            .map(({ metric, value }) => ({ name: metric[label] ?? "", value: Number(value[1]) }))
            .sort((a, b) => b.value - a.value)
            .map(({ name, value }) => ({
              key: name,
              name: (
                <Link
                  href={link(
                    `${selector.replace(/}$/, "")}${selector.endsWith("}") ? ", " : "{"}${labelName(label)}=${quoted(name)}}`,
                    "table",
                  )}
                >
                  {name || "(empty)"}
                </Link>
              ),
              value,
              shown: `${count(value)} series`,
            }))}
        />
      )}
    </Loaded>
  );
}

function LabelList({ selector }: { selector: string }) {
  const asked = useAsked((signal) => valueCounts(selector, signal), [selector]);
  const [chosen, setChosen] = useState("");
  return (
    <Loaded asked={asked}>
      {(labels) =>
        labels.length ? (
          <div class="columns">
            <section>
              <h3>Labels, by how many values each has</h3>
              <Bars
                label="Labels"
                bars={labels.map(({ label, values }) => ({
                  key: label,
                  name: (
                    <button
                      type="button"
                      class="plain link"
                      aria-pressed={chosen === label}
                      onClick={() => setChosen(label)}
                    >
                      {label}
                    </button>
                  ),
                  value: values,
                  shown: values === 1 ? "1 value" : `${count(values)} values`,
                }))}
              />
            </section>
            {chosen ? (
              <section>
                <h3>Values of {chosen}, by series</h3>
                <Values selector={selector} label={chosen} />
              </section>
            ) : (
              <p class="muted">Choose a label to see its values.</p>
            )}
          </div>
        ) : (
          <p class="muted">It has no labels now, or no samples in the last minutes.</p>
        )
      }
    </Loaded>
  );
}

/** The labels of a metric and their values, and where to go from here. */
export function MetricDetail({ metric }: { metric: Metric }) {
  const selector = selectorOf(metric.name);
  return (
    <div class="metric-detail">
      <p class="row">
        <Link class="button" href={link(goodQuestion(metric, selector), "graph")}>
          <Icon name="graph" />
          Graph
        </Link>
        <Link class="button" href={link(selector, "table")}>
          <Icon name="table" />
          Table
        </Link>
        <Link class="button" href={link(`count(${selector})`, "graph", "1d")}>
          <Icon name="graph" />
          Number of series over a day
        </Link>
      </p>
      <LabelList selector={selector} />
    </div>
  );
}
