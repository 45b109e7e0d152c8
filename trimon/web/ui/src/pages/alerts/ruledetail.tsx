import { useState } from "preact/hooks";
import { Badge } from "../../components/badge";
import { PromQL } from "../../components/code/promql";
import { LabelChips } from "../../components/labels";
import { Facts } from "../../components/layout/page";
import { Ago, Time } from "../../components/time";
import { count } from "../../values/numbers";
import { humanDuration } from "../../values/time/durations";
import { parseApiTime } from "../../values/time/times";
import { AlertHistory } from "./alerthistory";
import { Backtest } from "./backtest";
import { type ActiveAlert, alertTone, type Placed, valueText } from "./model";
import { Selectors } from "./selectors";
import "../../styles/alerts.css";
import "../../styles/code.css";

const ALERTS_SHOWN = 100;

function Active({ alert }: { alert: ActiveAlert }) {
  return (
    <li>
      <div class="row">
        <Badge tone={alertTone(alert.state)}>{alert.state}</Badge>
        <span>
          since <Time timeMs={parseApiTime(alert.activeAt)} /> (<Ago timeMs={parseApiTime(alert.activeAt)} />)
        </span>
        <span>
          value <strong>{valueText(alert.value)}</strong>
        </span>
      </div>
      <LabelChips labels={alert.labels} without={["alertname"]} />
      <Texts texts={alert.annotations} />
    </li>
  );
}

/** Annotations; what is an address can be followed. */
function Texts({ texts }: { texts: Record<string, string> }) {
  const all = Object.entries(texts);
  if (!all.length) return null;
  return (
    <Facts
      facts={all.map(([name, text]) => [
        name,
        /^https?:\/\/\S+$/.test(text) ? (
          <a key={name} href={text} rel="noreferrer noopener">
            {text}
          </a>
        ) : (
          text
        ),
      ])}
    />
  );
}

function alertFacts({ rule }: Placed): [string, string][] {
  if (rule.type !== "alerting") return [];
  return [
    ["for", rule.duration ? humanDuration(rule.duration * 1000) : "fires at once"],
    ...(rule.keepFiringFor
      ? [["keeps firing for", humanDuration(rule.keepFiringFor * 1000)] as [string, string]]
      : []),
  ];
}

/** All of one rule: what it asks, its alerts, its history, what it reads. */
export function RuleDetail({ row }: { row: Placed }) {
  const { rule, group } = row;
  const alerts = rule.alerts ?? [];
  const [isWhole, setWhole] = useState(false);
  return (
    <div class="rule-detail">
      <PromQL expression={rule.query} tab="graph" />
      {rule.lastError ? <p class="bad-text">{rule.lastError}</p> : null}
      <Facts
        facts={[
          ...alertFacts(row),
          ["labels", Object.keys(rule.labels).length ? <LabelChips key="l" labels={rule.labels} /> : "none"],
          ["group", `${group.name}, every ${humanDuration(group.interval * 1000)}`],
          ["file", <code key="f">{group.file}</code>],
          ["last evaluation", <Ago key="a" timeMs={parseApiTime(rule.lastEvaluation)} />],
          ["took", humanDuration(rule.evaluationTime * 1000)],
        ]}
      />
      {rule.annotations ? <Texts texts={rule.annotations} /> : null}
      {alerts.length ? (
        <>
          <h3>{alerts.length === 1 ? "1 active alert" : `${count(alerts.length)} active alerts`}</h3>
          <ul class="active-alerts">
            {alerts.slice(0, isWhole ? alerts.length : ALERTS_SHOWN).map((alert) => (
              <Active key={JSON.stringify(alert.labels)} alert={alert} />
            ))}
          </ul>
          {alerts.length > ALERTS_SHOWN && !isWhole ? (
            <div>
              <button type="button" onClick={() => setWhole(true)}>
                Show all {count(alerts.length)}
              </button>
            </div>
          ) : null}
        </>
      ) : null}
      <h3>What it reads</h3>
      <Selectors row={row} />
      {rule.type === "alerting" ? (
        <>
          <h3>History</h3>
          <AlertHistory row={row} />
          <h3>Over the stored past</h3>
          <Backtest row={row} />
        </>
      ) : null}
    </div>
  );
}
