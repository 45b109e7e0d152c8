import { useId, useMemo, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Bars } from "../../components/bars";
import { Choice } from "../../components/controls/choice";
import { CopyButton } from "../../components/controls/copy";
import { Icon } from "../../components/icon";
import { Loaded } from "../../components/states";
import { useUrlState } from "../../state/urlstate";
import { type Labels, quoted } from "../../values/labels";
import { count } from "../../values/numbers";
import {
  filtered,
  isValid,
  type LabelCounts,
  labelCounts,
  type Matcher,
  matcherText,
  narrowed,
  OPERATORS,
  type Operator,
} from "./labelcounts";
import { goodQuestion, type Metric, selectorOf } from "./model";

const VALUES_SHOWN = 25;
const SERIES_MAX = 20_000;
const OFFERED_MAX = 200;
const ORDERS = [
  ["values", "Most values first"],
  ["name", "By name"],
] as const;

function byName(labels: readonly LabelCounts[]): LabelCounts[] {
  return [...labels].sort((a, b) => (a.label < b.label ? -1 : 1));
}

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
  const [order, setOrder] = useUrlState("labels", "values");
  const counted = useMemo(() => labelCounts(series), [series]);
  const labels = order === "name" ? byName(counted) : counted;
  const [chosen, setChosen] = useState("");
  const counts = labels.find(({ label }) => label === chosen);
  if (!labels.length) return <p class="muted">It has no labels, or no samples in the last hour.</p>;
  return (
    <div class="columns">
      <section>
        <div class="row label-order">
          <h3>Labels</h3>
          <Choice label="Order of labels" value={order} choices={ORDERS} onChange={setOrder} />
        </div>
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

/** What was chosen: a selector put together matcher by matcher. */
function Chosen({
  wanted,
  onChange,
}: {
  wanted: readonly Matcher[];
  onChange: (wanted: readonly Matcher[]) => void;
}) {
  if (!wanted.length) return null;
  return (
    <p class="row" role="status">
      Only with
      {wanted.map((each) => (
        <button
          type="button"
          key={matcherText(each)}
          title="Take it back"
          aria-label={`Without ${each.label}${each.operator}${each.value}`}
          onClick={() => onChange(wanted.filter((other) => other !== each))}
        >
          <code>{matcherText(each)}</code>
          <Icon name="close" />
        </button>
      ))}
    </p>
  );
}

/** A matcher that is typed: any label, operator and value. */
function MatcherForm({
  labels,
  onAdd,
}: {
  labels: readonly LabelCounts[];
  onAdd: (matcher: Matcher) => void;
}) {
  const [label, setLabel] = useState("");
  const [operator, setOperator] = useState<Operator>("=");
  const [value, setValue] = useState("");
  const id = useId();
  const names = labels.map((each) => each.label);
  const chosen = names.includes(label) ? label : (names[0] ?? "");
  const matcher = { label: chosen, operator, value };
  const isReadable = isValid(matcher);
  if (!names.length) return null;
  return (
    <form
      class="row"
      aria-label="Add a matcher"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isReadable) return;
        onAdd(matcher);
        setValue("");
      }}
    >
      <select aria-label="Label" value={chosen} onChange={(event) => setLabel(event.currentTarget.value)}>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <select
        aria-label="Operator"
        value={operator}
        onChange={(event) => setOperator(event.currentTarget.value as Operator)}
      >
        {OPERATORS.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
      <input
        aria-label="Value"
        placeholder={operator.includes("~") ? "Regular expression" : "Value"}
        aria-invalid={!isReadable}
        list={id}
        value={value}
        onInput={(event) => setValue(event.currentTarget.value)}
      />
      <datalist id={id}>
        {labels
          .find((each) => each.label === chosen)
          ?.values.slice(0, OFFERED_MAX)
          .map(([each]) => (
            <option key={each} value={each} />
          ))}
      </datalist>
      <button type="submit" disabled={!isReadable}>
        Add
      </button>
      {isReadable ? null : <span class="bad-text">This is no regular expression.</span>}
    </form>
  );
}

/** The labels of a metric and their values, and where to go from here. */
export function MetricDetail({ metric }: { metric: Metric }) {
  const whole = selectorOf(metric.name);
  const [wanted, setWanted] = useState<readonly Matcher[]>([]);
  const add = (matcher: Matcher) =>
    setWanted([...wanted.filter((each) => matcherText(each) !== matcherText(matcher)), matcher]);
  const selector = narrowed(whole, wanted);
  const asked = useAsked(
    async (signal) => {
      const parameters = { "match[]": [whole], start: Date.now() / 1000 - 3600, limit: SERIES_MAX };
      return (await ask<Labels[]>("/series", parameters, { signal, post: true })).data;
    },
    [whole],
  );
  // What can be typed does not end with what was chosen: another value of the same label may be wanted by "=~".
  const every = useMemo(() => byName(labelCounts(asked.data ?? [])), [asked.data]);
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
            <MatcherForm labels={every} onAdd={add} />
            <LabelLists series={series} onWanted={(label, value) => add({ label, operator: "=", value })} />
          </>
        )}
      </Loaded>
    </div>
  );
}
