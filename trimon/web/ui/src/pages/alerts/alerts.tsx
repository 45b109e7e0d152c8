import { useMemo } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { FilterChips } from "../../components/controls/chips";
import { Choices } from "../../components/controls/choices";
import { CopyButton } from "../../components/controls/copy";
import { LabelChips } from "../../components/labels";
import { SearchPage, useSearch } from "../../components/layout/searchpage";
import type { Column } from "../../components/tables/table";
import { Ago } from "../../components/time";
import { useUrlSet, useUrlState } from "../../state/urlstate";
import { count } from "../../values/numbers";
import { found } from "../../values/search";
import { humanDuration } from "../../values/time/durations";
import { parseApiTime } from "../../values/time/times";
import {
  type AlertState,
  alertTone,
  fileName,
  type Group,
  groupChips,
  groupKey,
  type Placed,
  placed,
  ruleText,
  stateCounts,
  stateOf,
  stateOrder,
  summaryOf,
} from "./model";
import { RuleTable } from "./ruletable";

const EVERY_MS = 10_000;

const STATES: readonly (readonly [AlertState, string])[] = [
  ["failing", "Failing"],
  ["firing", "Firing"],
  ["pending", "Pending"],
  ["inactive", "Inactive"],
  ["unknown", "Unknown"],
];

function since(row: Placed): number {
  return Math.min(...(row.rule.alerts ?? []).map((alert) => parseApiTime(alert.activeAt)));
}

const COLUMNS: readonly Column<Placed>[] = [
  {
    name: "state",
    title: "State",
    width: "6rem",
    cell: ({ rule }) => <Badge tone={alertTone(stateOf(rule))}>{stateOf(rule)}</Badge>,
    sort: ({ rule }) => stateOrder(stateOf(rule)),
  },
  {
    name: "alert",
    title: "Alert",
    width: "minmax(12rem, 2fr)",
    cell: ({ rule }) => (
      <>
        <strong>{rule.name}</strong> <CopyButton text={rule.name} label="Copy the name" />
        {summaryOf(rule) ? <div class="muted">{summaryOf(rule)}</div> : null}
      </>
    ),
    sort: ({ rule }) => rule.name,
  },
  {
    name: "active",
    title: "Active",
    width: "5rem",
    cell: ({ rule }) => (rule.alerts?.length ? count(rule.alerts.length) : <span class="muted">0</span>),
    sort: ({ rule }) => rule.alerts?.length ?? 0,
    isNumber: true,
  },
  {
    name: "since",
    title: "Since",
    width: "7.5rem",
    cell: (row) => (row.rule.alerts?.length ? <Ago timeMs={since(row)} /> : ""),
    sort: (row) => (row.rule.alerts?.length ? since(row) : 0),
    isNumber: true,
  },
  {
    name: "for",
    title: "For",
    width: "5rem",
    cell: ({ rule }) =>
      rule.duration ? humanDuration(rule.duration * 1000) : <span class="muted">at once</span>,
    sort: ({ rule }) => rule.duration ?? 0,
    isNumber: true,
  },
  {
    name: "labels",
    title: "Labels",
    width: "minmax(8rem, 1fr)",
    cell: ({ rule }) => <LabelChips labels={rule.labels} />,
  },
  {
    name: "group",
    title: "Group",
    width: "minmax(8rem, 1fr)",
    cell: ({ group }) => (
      <>
        {group.name} <div class="muted">{fileName(group.file)}</div>
      </>
    ),
    sort: ({ group }) => `${group.file} ${group.name}`,
  },
];

/** Every alerting rule, those first that fail or fire. */
export default function AlertsPage() {
  const asked = useAsked(
    (signal) => ask<{ groups: Group[] }>("/rules", { type: "alert" }, { signal }),
    [],
    EVERY_MS,
  );
  const [search] = useSearch();
  const [states, setStates] = useUrlSet("state");
  const stateKey = [...states].join();
  const all = useMemo(() => placed(asked.data?.data.groups ?? []), [asked.data]);
  const counts = stateCounts(all);
  const [group, setGroup] = useUrlState("group");
  const fitting = useMemo(
    () => found(all, search, ruleText).filter((row) => !states.size || states.has(stateOf(row.rule))),
    [all, search, stateKey],
  );
  const chips = useMemo(() => groupChips(fitting, all, group), [fitting, all, group]);
  const rows = useMemo(
    () => fitting.filter((row) => !group || groupKey(row.group) === group),
    [fitting, group],
  );
  return (
    <SearchPage
      title="Alerts"
      about="Every alerting rule, those first that fail or fire. Open a row for its alerts, its history, and why it does not fire."
      label="Search alerts"
      placeholder="Name, label, expression"
      actions={
        <Choices
          label="State"
          chosen={states}
          all={asked.data ? `All ${count(all.length)}` : "All"}
          choices={STATES.filter(([state]) => state !== "unknown" || counts.unknown || states.has(state)).map(
            ([state, title]) => [state, asked.data ? `${title} ${count(counts[state])}` : title] as const,
          )}
          onChange={setStates}
        />
      }
    >
      <FilterChips label="Groups" chips={chips} chosen={group} onChoose={setGroup} />
      <RuleTable
        asked={asked}
        label="Alerting rules"
        columns={COLUMNS}
        rows={rows}
        all={all.length}
        noneFits={{ title: "No alert fits", advice: "Empty the search, or choose all states and groups." }}
        none="There are no alerting rules"
        isRanked={search !== ""}
        initialSort={{ column: "state", descending: false }}
      />
    </SearchPage>
  );
}
