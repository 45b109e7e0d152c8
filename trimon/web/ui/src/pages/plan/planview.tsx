import { Badge, type Tone } from "../../components/badge";
import { LabelChips } from "../../components/labels";
import { Panel } from "../../components/layout/page";
import { Scrolled } from "../../components/layout/scrolled";
import { Empty } from "../../components/states";
import { count } from "../../values/numbers";
import { changedJobs, type Difference, type GroupPlan, type JobPlan, type Plan, said, totals } from "./model";

const TONES: Record<string, Tone> = { added: "good", removed: "bad", changed: "info", same: "none" };
const SHOWN = 20;

function Fields({ fields }: { fields: readonly Difference[] }) {
  if (!fields.length) return null;
  return (
    <table class="plain-table differences">
      <thead>
        <tr>
          <th>Field</th>
          <th>Now</th>
          <th>Then</th>
        </tr>
      </thead>
      <tbody>
        {fields.map((each) => (
          <tr key={each.field}>
            <td>
              <code>{each.field}</code>
            </td>
            <td class="gone">{said(each.now)}</td>
            <td class="new">{said(each.then)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Names({
  title,
  tone,
  names,
  number,
}: {
  title: string;
  tone: string;
  names: readonly string[];
  number: number;
}) {
  if (!number) return null;
  return (
    <details open={number <= SHOWN}>
      <summary class={tone}>
        {title} {count(number)}
      </summary>
      <Scrolled label={title} kind="names-box">
        <ul class="names">
          {names.slice(0, SHOWN * 10).map((name) => (
            <li key={name}>
              <code>{name}</code>
            </li>
          ))}
        </ul>
      </Scrolled>
      {number > SHOWN * 10 ? <p class="muted">and {count(number - SHOWN * 10)} more</p> : null}
    </details>
  );
}

function number(value: number | null): string {
  return value === null ? "not known" : count(value);
}

function Job({ job }: { job: JobPlan }) {
  return (
    <Panel
      title={
        <>
          {job.job} <Badge tone={TONES[job.change] ?? "none"}>{job.change}</Badge>
        </>
      }
      actions={
        <span class="muted">
          targets {number(job.targets.now)} → {number(job.targets.then)}, series {number(job.series.now)} →{" "}
          {number(job.series.then)}
        </span>
      }
    >
      <Names
        title="Would fail:"
        tone="bad-text"
        number={job.wouldFail.count}
        names={job.wouldFail.targets.map((each) => `${each.target}: ${each.reason}`)}
      />
      <Names title="Gains" tone="new" number={job.gained.count} names={job.gained.targets} />
      <Names title="Loses" tone="gone" number={job.lost.count} names={job.lost.targets} />
      {job.relabeled.targets.slice(0, SHOWN).map((each) => (
        <div key={each.target} class="relabeled">
          <code>{each.target}</code> gets other labels: {count(each.series)} series end and begin anew
          <LabelChips labels={each.now} />
          <LabelChips labels={each.then} />
        </div>
      ))}
      <Fields fields={job.fields} />
      {job.notes.map((note) => (
        <p class="muted" key={note}>
          {note}
        </p>
      ))}
    </Panel>
  );
}

function Group({ group }: { group: GroupPlan }) {
  return (
    <Panel
      title={
        <>
          {group.group} <Badge tone={TONES[group.change] ?? "none"}>{group.change}</Badge>
        </>
      }
      actions={
        <span class="muted">
          {group.file}, rules {count(group.rules.now)} → {count(group.rules.then)}
        </span>
      }
    >
      <Fields fields={group.fields} />
      {group.changedRules.map((rule) => (
        <div key={`${rule.type} ${rule.rule} ${rule.change}`}>
          <h3>
            {rule.rule} <Badge tone={TONES[rule.change] ?? "none"}>{rule.change}</Badge>
          </h3>
          <Fields fields={rule.fields} />
        </div>
      ))}
    </Panel>
  );
}

function Summary({ plan }: { plan: Plan }) {
  const sums = totals(plan);
  const series =
    sums.series === undefined
      ? "an unknown number of"
      : `${sums.series >= 0 ? "+" : "−"}${count(Math.abs(sums.series))}`;
  return (
    <p class="row">
      <Badge tone={sums.gained ? "good" : "none"}>
        {count(sums.gained)} {sums.gained === 1 ? "target" : "targets"} gained
      </Badge>
      <Badge tone={sums.lost ? "bad" : "none"}>
        {count(sums.lost)} {sums.lost === 1 ? "target" : "targets"} lost
      </Badge>
      <Badge tone={sums.failing ? "bad" : "none"}>{count(sums.failing)} would fail</Badge>
      <span>{series} series</span>
    </p>
  );
}

/** What a plan says. */
export function PlanView({ plan }: { plan: Plan }) {
  if (!plan.changes)
    return <Empty title="Nothing would change">This file says what is in effect already.</Empty>;
  const jobs = changedJobs(plan);
  return (
    <>
      {[...plan.warnings, ...plan.unsupported].map((text) => (
        <p class="notice warn" key={text}>
          {text}
        </p>
      ))}
      <Summary plan={plan} />
      {jobs.length ? <h2>Jobs</h2> : null}
      {jobs.map((job) => (
        <Job key={job.job} job={job} />
      ))}
      {plan.ruleGroups.length ? <h2>Rule groups</h2> : null}
      {plan.ruleGroups.map((group) => (
        <Group key={`${group.file} ${group.group}`} group={group} />
      ))}
      {plan.sections.length ? <h2>Other sections</h2> : null}
      {plan.sections.map((section) => (
        <Panel key={section.section} title={section.section}>
          {section.warnings.map((text) => (
            <p class="notice warn" key={text}>
              {text}
            </p>
          ))}
          <Fields fields={section.fields} />
        </Panel>
      ))}
    </>
  );
}
