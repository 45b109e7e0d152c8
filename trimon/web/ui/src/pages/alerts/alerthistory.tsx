import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { LabelChips } from "../../components/labels";
import { Scrolled } from "../../components/layout/scrolled";
import { Loaded } from "../../components/states";
import { Time } from "../../components/time";
import { type Labels, quoted } from "../../values/labels";
import { parseApiTime } from "../../values/time/times";
import { alertTone, type Placed, valueText } from "./model";

interface Change {
  at: string;
  state: string;
  file: string;
  group: string;
  alert: string;
  labels: Labels;
  annotations: Labels;
  value: string | number;
}

const LIMIT = 200;

/** When a rule's alerts changed their states, and with which value. */
export function AlertHistory({ row }: { row: Placed }) {
  const name = row.rule.name;
  const asked = useAsked(
    (signal) =>
      ask<{ changes: Change[]; more: boolean; since: string }>(
        "/alerts/history",
        { "match[]": [`{alertname=${quoted(name)}}`], limit: LIMIT },
        { signal },
      ),
    [name],
    15_000,
  );
  return (
    <Loaded asked={asked}>
      {(answer) => {
        const changes = answer.data.changes.filter(
          (each) => each.group === row.group.name && each.file === row.group.file,
        );
        if (!changes.length)
          return (
            <p class="muted">
              It never left its resting state since <Time timeMs={parseApiTime(answer.data.since)} />, when
              the history began, which is kept through restarts.
            </p>
          );
        return (
          <Scrolled label="History" kind="alert-history-box">
            <ol class="alert-history">
              {changes.map((each) => (
                <li key={`${each.at} ${each.state} ${JSON.stringify(each.labels)}`}>
                  <Time timeMs={parseApiTime(each.at)} />
                  <Badge tone={alertTone(each.state === "resolved" ? "inactive" : each.state)}>
                    {each.state}
                  </Badge>
                  <span class="number">{valueText(String(each.value))}</span>
                  <LabelChips labels={each.labels} without={["alertname"]} />
                </li>
              ))}
            </ol>
          </Scrolled>
        );
      }}
    </Loaded>
  );
}
