import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { PromQL } from "../../components/code/promql";
import { Loaded } from "../../components/states";
import { Ago } from "../../components/time";
import { parseApiTime } from "../../values/time/times";
import type { Placed } from "./model";

interface Selector {
  selector: string;
  optional: boolean;
  matched: boolean | null;
  lastMatched: string | null;
  evaluations: number;
}

export interface ReadingGroup {
  name: string;
  file: string;
  rules: {
    name: string;
    type: string;
    query: string;
    dead: boolean;
    unmatched: boolean;
    selectors: Selector[];
  }[];
}

function stateOf(each: Selector, isFailing: boolean, isDead: boolean) {
  if (!each.evaluations)
    return isFailing ? (
      <Badge tone="warn">not read: the rule fails before</Badge>
    ) : (
      <Badge>not evaluated yet</Badge>
    );
  if (each.matched) return <Badge tone="good">matches</Badge>;
  if (each.optional) return <Badge>matches nothing, as it may</Badge>;
  if (!each.lastMatched && !isDead) return <Badge tone="warn">nothing so far</Badge>;
  return <Badge tone="bad">matches nothing</Badge>;
}

/** What a rule reads, and whether there is anything of it: a rule that reads nothing never fires. */
export function Selectors({ row }: { row: Placed }) {
  const asked = useAsked(
    (signal) =>
      ask<{ groups: ReadingGroup[] }>(
        "/rules/selectors",
        { "rule_name[]": [row.rule.name], "rule_group[]": [row.group.name], "file[]": [row.group.file] },
        { signal },
      ),
    [row.key],
    15_000,
  );
  return (
    <Loaded asked={asked}>
      {(answer) => {
        const rule = answer.data.groups
          .flatMap((group) => group.rules)
          .find((each) => each.query === row.rule.query);
        if (!rule?.selectors.length) return <p class="muted">It reads no series.</p>;
        return (
          <ul class="selectors">
            {rule.selectors.map((each) => (
              <li key={each.selector}>
                <PromQL expression={each.selector} /> {stateOf(each, row.rule.health === "err", rule.dead)}{" "}
                {each.matched || !each.evaluations ? null : (
                  <span class="muted">
                    matched last <Ago timeMs={parseApiTime(each.lastMatched ?? "")} />
                  </span>
                )}
              </li>
            ))}
          </ul>
        );
      }}
    </Loaded>
  );
}
