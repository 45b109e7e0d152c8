import { useState } from "preact/hooks";
import { useAsked } from "../../../api/asked";
import { ask } from "../../../api/client";
import { Icon } from "../../../components/icon";
import { Scrolled } from "../../../components/layout/scrolled";
import { Failure, Loading } from "../../../components/states";
import { bytes, count } from "../../../values/numbers";
import { humanDuration } from "../../../values/time/durations";
import { Explanation } from "./explanation";
import "../../../styles/explain.css";
import type { Panel } from "../panels/panel";
import { explainParameters, nodeCount, type PlanNode, totalSeconds } from "./plan";

// A tree of more nodes is shown as its first lines: one that is very deep cannot be drawn.
const NODES_MAX = 300;

function Node({ node, wholeS }: { node: PlanNode; wholeS: number }) {
  const { estimate, actual } = node;
  return (
    <li>
      <div class="plan-node">
        <code>{node.operator}</code>
        {estimate ? (
          <span class="muted">
            at most: {count(estimate.series)} series, {count(estimate.samples)} samples,{" "}
            {bytes(estimate.bytes)}
          </span>
        ) : null}
        {actual ? (
          <span class="plan-actual">
            <span class="plan-share" aria-hidden="true">
              <span style={{ width: `${wholeS ? (100 * actual.seconds) / wholeS : 0}%` }} />
            </span>
            {humanDuration(actual.seconds * 1000)}, {count(actual.series)} series, {count(actual.samples)}{" "}
            samples
          </span>
        ) : null}
      </div>
      {node.children?.length ? (
        <ul>
          {node.children.map((child, at) => (
            <Node key={`${at} ${child.operator}`} node={child} wholeS={wholeS} />
          ))}
        </ul>
      ) : null}
    </li>
  );
}

/** What an expression means, and how the server computes it: what it expects of each step, and, after a run, what each took. */
export function ExplainView({ panel, turn }: { panel: Panel; turn: number }) {
  const [asRange, setAsRange] = useState(false);
  const [isMeasured, setMeasured] = useState(false);
  const asked = useAsked(
    (signal) =>
      ask<{ plan: PlanNode; text: string }>(
        "/explain",
        { ...explainParameters(panel, asRange, Date.now()), ...(isMeasured ? { analyze: "true" } : {}) },
        { signal, post: true },
      ),
    [panel.expression, panel.endMs, panel.rangeMs, asRange, isMeasured, turn],
  );
  const plan = asked.data?.data.plan;
  const wholeS = plan ? totalSeconds(plan) : 0;
  return (
    <div class="explain">
      <h3>What it means</h3>
      <Explanation panel={panel} turn={turn} />
      <h3>How the server computes it</h3>
      <div class="row">
        <label class="check">
          <input
            type="checkbox"
            checked={asRange}
            onChange={(event) => setAsRange(event.currentTarget.checked)}
          />
          Over the range of the graph
        </label>
        {isMeasured ? (
          <button type="button" onClick={asked.again}>
            <Icon name="again" />
            Run and measure again
          </button>
        ) : (
          <button type="button" onClick={() => setMeasured(true)}>
            <Icon name="play" />
            Run and measure
          </button>
        )}
        {isMeasured && wholeS ? <span class="muted">{humanDuration(wholeS * 1000)} in all</span> : null}
      </div>
      {asked.error !== undefined ? <Failure error={asked.error} again={asked.again} /> : null}
      {plan && nodeCount(plan, NODES_MAX + 1) > NODES_MAX ? (
        <Scrolled label="The plan as text">
          <pre>{asked.data?.data.text.split("\n").slice(0, NODES_MAX).join("\n")}</pre>
        </Scrolled>
      ) : plan ? (
        <ul class="plan">
          <Node node={plan} wholeS={wholeS} />
        </ul>
      ) : asked.error === undefined ? (
        <Loading />
      ) : null}
    </div>
  );
}
