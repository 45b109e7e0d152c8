import { useMemo } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { useUrlSet, useUrlState } from "../../app/urlstate";
import { Badge } from "../../components/badge";
import { Choice } from "../../components/choice";
import { LabelChips } from "../../components/labels";
import { Page } from "../../components/page";
import { SearchField } from "../../components/search";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable } from "../../components/table";
import { Ago } from "../../components/time";
import { humanDuration } from "../../values/durations";
import { count } from "../../values/numbers";
import { matches, words } from "../../values/search";
import { parseApiTime } from "../../values/times";
import {
  alertTone,
  fileName,
  type Group,
  type Placed,
  placed,
  ruleText,
  stateCounts,
  stateOrder,
  summaryOf,
} from "./model";
import { RuleDetail } from "./ruledetail";
import { errorOf } from "./ruleerror";
import "../../styles/alerts.css";

const EVERY_MS = 10_000;

function since(row: Placed): number {
  return Math.min(...(row.rule.alerts ?? []).map((alert) => parseApiTime(alert.activeAt)));
}

const COLUMNS: readonly Column<Placed>[] = [
  {
    name: "state",
    title: "State",
    width: "6rem",
    cell: ({ rule }) =>
      rule.health === "err" ? (
        <Badge tone="bad">failing</Badge>
      ) : (
        <Badge tone={alertTone(rule.state)}>{rule.state ?? "unknown"}</Badge>
      ),
    sort: ({ rule }) => (rule.health === "err" ? -1 : stateOrder(rule.state)),
  },
  {
    name: "alert",
    title: "Alert",
    width: "minmax(12rem, 2fr)",
    cell: ({ rule }) => (
      <>
        <strong>{rule.name}</strong>
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

/** Every alerting rule, those first that fire. */
export default function AlertsPage() {
  const asked = useAsked(
    (signal) => ask<{ groups: Group[] }>("/rules", { type: "alert" }, { signal }),
    [],
    EVERY_MS,
  );
  const [search, setSearch] = useUrlState("search");
  const [states, setStates] = useUrlSet("state");
  const stateKey = [...states].join();
  const all = useMemo(() => placed(asked.data?.data.groups ?? []), [asked.data]);
  const counts = stateCounts(all);
  const rows = useMemo(() => {
    const wanted = words(search);
    return all.filter(
      (row) => (!states.size || states.has(row.rule.state ?? "unknown")) && matches(wanted, ruleText(row)),
    );
  }, [all, search, stateKey]);
  return (
    <Page
      title="Alerts"
      about="Every alerting rule, those first that fire. Open a row for its alerts, its history, and why it does not fire."
      actions={
        <>
          <SearchField
            value={search}
            onChange={setSearch}
            label="Search alerts"
            placeholder="Name, label, expression"
          />
          <Choice
            label="State"
            value={states.size === 1 ? stateKey : ""}
            choices={[
              ["", `All ${count(all.length)}`],
              ["firing", `Firing ${count(counts.firing)}`],
              ["pending", `Pending ${count(counts.pending)}`],
              ["inactive", `Inactive ${count(counts.inactive)}`],
            ]}
            onChange={(state) => setStates(new Set(state ? [state] : []))}
          />
        </>
      }
    >
      <Loaded asked={asked}>
        {() =>
          rows.length ? (
            <DataTable
              label="Alerting rules"
              columns={COLUMNS}
              rows={rows}
              keyOf={(row) => row.key}
              nameOf={(row) => row.rule.name}
              detail={(row) => <RuleDetail row={row} />}
              below={errorOf}
              initialSort={{ column: "state", descending: false }}
            />
          ) : all.length ? (
            <Empty title="No alert fits">Empty the search, or choose all states.</Empty>
          ) : (
            <Empty title="There are no alerting rules">
              Name files with rules under <code>rule_files</code> in the configuration.
            </Empty>
          )
        }
      </Loaded>
    </Page>
  );
}
