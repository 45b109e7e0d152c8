import { useMemo, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Bars } from "../../components/bars";
import { CopyButton } from "../../components/copy";
import { Icon } from "../../components/icon";
import { Loaded } from "../../components/states";
import { type Labels, labelName, quoted } from "../../values/labels";
import { count } from "../../values/numbers";
import { filtered, type LabelCounts, labelCounts, narrowed } from "./labelcounts";
import { goodQuestion, type Metric, selectorOf } from "./model";

const VALUES_SHOWN = 25;
const SERIES_MAX = 20_000;

function link(expression: string, tab: string, range = "1h"): string {
  return `/query?${new URLSearchParams({ "g0.expr": expression, "g0.tab": tab, "g0.range_input": range })}`;
}

function Values({ counts, onChoose }: { counts: LabelCounts; onChoose: (value: string) => void }) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? counts.values : counts.values.slice(0, VALUES_SHOWN);
  return (
    <>
      <Bars
        label={`Series by ${counts.label}`}
        bars={shown.map(([value, number]) => ({
          key: value,
          name: (
            <button
              type="button"
              class="plain link"
              title={`Only series with ${counts.label}=${quoted(value)}`}
              onClick={() => onChoose(value)}
            >
              {value || "(empty)"}
            </button>
          ),
          value: number,
          shown: `${count(number)} series`,
        }))}
      />
      {counts.values.length > shown.length ? (
        <button type="button" class="plain" onClick={() => setWhole(true)}>
          Show all {count(counts.values.length)}
        </button>
      ) : null}
    </>
  );
}

function LabelLists({
  series,
  onWanted,
}: {
  series: readonly Labels[];
  onWanted: (label: string, value: string) => void;
}) {
  const labels = useMemo(() => labelCounts(series), [series]);
  const [chosen, setChosen] = useState("");
  const counts = labels.find(({ label }) => label === chosen);
  if (!labels.length) return <p class="muted">It has no labels, or no samples in the last hour.</p>;
  return (
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
            value: values.length,
            shown: values.length === 1 ? "1 value" : `${count(values.length)} values`,
          }))}
        />
      </section>
      {counts ? (
        <section>
          <h3>Values of {chosen}, by series</h3>
          <Values key={chosen} counts={counts} onChoose={(value) => onWanted(chosen, value)} />
        </section>
      ) : (
        <p class="muted">Choose a label to see its values, and a value to see its series alone.</p>
      )}
    </div>
  );
}

/** What was chosen: a selector put together label by label. */
function Chosen({ wanted, onChange }: { wanted: Labels; onChange: (wanted: Labels) => void }) {
  const all = Object.entries(wanted);
  if (!all.length) return null;
  return (
    <p class="row" role="status">
      Only with
      {all.map(([name, value]) => (
        <button
          type="button"
          key={name}
          title="Take it back"
          aria-label={`Without ${name}=${value}`}
          onClick={() => onChange(Object.fromEntries(all.filter(([each]) => each !== name)))}
        >
          <code>
            {labelName(name)}={quoted(value)}
          </code>
          <Icon name="close" />
        </button>
      ))}
    </p>
  );
}

/** The labels of a metric and their values, and where to go from here. */
export function MetricDetail({ metric }: { metric: Metric }) {
  const whole = selectorOf(metric.name);
  const [wanted, setWanted] = useState<Labels>({});
  const selector = narrowed(whole, wanted);
  const asked = useAsked(
    async (signal) => {
      const parameters = { "match[]": [whole], start: Date.now() / 1000 - 3600, limit: SERIES_MAX };
      return (await ask<Labels[]>("/series", parameters, { signal, post: true })).data;
    },
    [whole],
  );
  const series = useMemo(() => filtered(asked.data ?? [], wanted), [asked.data, wanted]);
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
        <code>{selector}</code>
        <CopyButton text={selector} label="Copy the selector" />
      </p>
      <Chosen wanted={wanted} onChange={setWanted} />
      <Loaded asked={asked}>
        {(all) => (
          <>
            {all.length >= SERIES_MAX ? (
              <p class="muted">The first {count(SERIES_MAX)} series of the last hour are counted.</p>
            ) : null}
            <LabelLists
              series={series}
              onWanted={(label, value) => setWanted({ ...wanted, [label]: value })}
            />
          </>
        )}
      </Loaded>
    </div>
  );
}
