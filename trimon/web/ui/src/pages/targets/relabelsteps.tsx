import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { LabelChips } from "../../components/labels";
import { Loaded } from "../../components/states";
import type { Labels } from "../../values/labels";

interface Rule {
  action: string;
  source_labels?: string[];
  separator?: string;
  regex?: string;
  target_label?: string;
  replacement?: string;
  modulus?: number;
}

interface Step {
  rule: Rule;
  output: Labels;
  keep: boolean;
}

/** A rule in one line, as a configuration has it. */
function said(rule: Rule): string {
  return Object.entries(rule)
    .filter(([name, value]) => name !== "action" && value !== undefined && value !== "" && value !== 0)
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? `[${value.join(", ")}]` : String(value)}`)
    .join("   ");
}

/** The labels that a step set, and the names of those that it took away. */
export function difference(before: Labels, after: Labels): { set: Labels; gone: string[] } {
  const set = Object.fromEntries(Object.entries(after).filter(([name, value]) => before[name] !== value));
  return { set, gone: Object.keys(before).filter((name) => !(name in after)) };
}

function StepItem({ step, before }: { step: Step; before: Labels }) {
  const { set, gone } = difference(before, step.output);
  const isIdle = step.keep && !Object.keys(set).length && !gone.length;
  return (
    <li>
      <div>
        <Badge tone={step.keep ? "none" : "bad"}>{step.rule.action}</Badge>{" "}
        <code class="muted">{said(step.rule)}</code>
      </div>
      {step.keep ? null : <p class="bad-text">This rule drops the target.</p>}
      {step.keep && Object.keys(set).length ? <LabelChips labels={set} /> : null}
      {step.keep && gone.length ? <p class="muted">takes away {gone.join(", ")}</p> : null}
      {isIdle ? <p class="muted">changes nothing</p> : null}
    </li>
  );
}

/** What each relabeling rule makes of a target's labels, and which one drops it. */
export function RelabelSteps({ pool, labels }: { pool: string; labels: Labels }) {
  const text = JSON.stringify(labels);
  const asked = useAsked(
    (signal) =>
      ask<{ steps: Step[] }>("/targets/relabel_steps", { scrapePool: pool, labels: text }, { signal }),
    [pool, text],
  );
  return (
    <Loaded asked={asked}>
      {(answer) => {
        const { steps } = answer.data;
        if (!steps.length) return <p class="muted">The job has no relabeling rules.</p>;
        const last = steps.findIndex((step) => !step.keep);
        const shown = last < 0 ? steps : steps.slice(0, last + 1);
        return (
          <>
            {answer.warnings.map((warning) => (
              <p class="notice warn" key={warning}>
                {warning}
              </p>
            ))}
            <ol class="steps">
              {shown.map((step, at) => (
                <StepItem
                  key={`${at} ${said(step.rule)}`}
                  step={step}
                  before={at ? (shown[at - 1]?.output ?? {}) : labels}
                />
              ))}
            </ol>
          </>
        );
      }}
    </Loaded>
  );
}
