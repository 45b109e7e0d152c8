import { useMemo } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Badge } from "../../components/badge";
import { PromQL } from "../../components/code/promql";
import { Choice } from "../../components/controls/choice";
import { CopyButton } from "../../components/controls/copy";
import { SearchPage, useSearch } from "../../components/layout/searchpage";
import type { Column } from "../../components/tables/table";
import { Ago } from "../../components/time";
import { useUrlState } from "../../state/urlstate";
import { count } from "../../values/numbers";
import { own } from "../../values/own";
import { found } from "../../values/search";
import { humanDuration } from "../../values/time/durations";
import { parseApiTime } from "../../values/time/times";
import { fileName, type Group, healthTone, type Placed, placed, ruleText } from "./model";
import { RuleTable } from "./ruletable";
import type { ReadingGroup } from "./selectors";
import "../../styles/code.css";

const EVERY_MS = 10_000;

interface Row extends Placed {
  isDead: boolean;
  /** What it must have has matched nothing yet, for too short a time to call it dead. */
  isWaiting: boolean;
}

/** Whether the rules that read something which is not there are dead, by group and expression. */
function unmatchedRules(groups: readonly ReadingGroup[]): Map<string, boolean> {
  return new Map(
    groups.flatMap((group) =>
      group.rules.map(
        (rule) => [`${group.file};${group.name};${rule.name};${rule.query}`, rule.dead] as const,
      ),
    ),
  );
}

const COLUMNS: readonly Column<Row>[] = [
  {
    name: "health",
    title: "Health",
    width: "7.5rem",
    cell: ({ rule, isDead, isWaiting }) => (
      <>
        <Badge tone={healthTone(rule.health)}>{rule.health}</Badge>
        {isDead ? (
          <Badge tone="warn" title="A selector of it has matched nothing">
            never matched
          </Badge>
        ) : isWaiting ? (
          <Badge title="A selector of it has matched nothing so far; after ten minutes that is said to be never">
            nothing so far
          </Badge>
        ) : null}
      </>
    ),
    sort: ({ rule, isDead, isWaiting }) => {
      if (rule.health === "err") return 0;
      return isDead ? 1 : isWaiting ? 2 : rule.health === "unknown" ? 3 : 4;
    },
  },
  {
    name: "rule",
    title: "Rule",
    width: "minmax(16rem, 4fr)",
    cell: ({ rule }) => (
      <>
        <strong>{rule.name}</strong> <CopyButton text={rule.name} label="Copy the name" />{" "}
        {rule.type === "alerting" ? <Badge tone="info">alert</Badge> : null}
        <div>
          <PromQL expression={rule.query} />
        </div>
      </>
    ),
    sort: ({ rule }) => rule.name,
  },
  {
    name: "group",
    title: "Group",
    width: "minmax(12rem, 1.6fr)",
    cell: ({ group }) => (
      <>
        {group.name}
        <div class="muted">
          {fileName(group.file)}, every {humanDuration(group.interval * 1000)}, takes{" "}
          {humanDuration(group.evaluationTime * 1000)}
        </div>
      </>
    ),
    sort: ({ group }) => `${group.file} ${group.name}`,
  },
  {
    name: "took",
    title: "Took",
    width: "5.5rem",
    cell: ({ rule }) => humanDuration(rule.evaluationTime * 1000),
    sort: ({ rule }) => rule.evaluationTime,
    isNumber: true,
  },
  {
    name: "last",
    title: "Evaluated",
    width: "7rem",
    cell: ({ rule }) => <Ago timeMs={parseApiTime(rule.lastEvaluation)} />,
    sort: ({ rule }) => parseApiTime(rule.lastEvaluation),
    isNumber: true,
  },
];

const FILTERS: Record<string, (row: Row) => boolean> = {
  "": () => true,
  err: ({ rule }) => rule.health === "err",
  ok: ({ rule }) => rule.health === "ok",
  unknown: ({ rule }) => rule.health === "unknown",
  dead: ({ isDead }) => isDead,
  waiting: ({ isWaiting }) => isWaiting,
};

/** Every rule, how long it takes, whether it fails, and whether it reads anything at all. */
export default function RulesPage() {
  const asked = useAsked((signal) => ask<{ groups: Group[] }>("/rules", {}, { signal }), [], EVERY_MS);
  const reading = useAsked(
    (signal) => ask<{ groups: ReadingGroup[] }>("/rules/selectors", { unmatched: "true" }, { signal }),
    [],
    EVERY_MS,
  );
  const [search] = useSearch();
  // Prometheus' links name the health, those of earlier versions say "show".
  const [chosen, setShow] = useUrlState("health", "", "show");
  const show = chosen === "failing" ? "err" : Object.hasOwn(FILTERS, chosen) ? chosen : "";
  const all = useMemo<Row[]>(() => {
    const unmatched = unmatchedRules(reading.data?.data.groups ?? []);
    return placed(asked.data?.data.groups ?? []).map((row) => {
      const isDead = unmatched.get(`${row.group.file};${row.group.name};${row.rule.name};${row.rule.query}`);
      return { ...row, isDead: isDead === true, isWaiting: isDead === false };
    });
  }, [asked.data, reading.data]);
  const rows = useMemo(
    () => found(all.filter(own(FILTERS, show) ?? (() => true)), search, ruleText),
    [all, search, show],
  );
  const choice = (name: string, title: string) => {
    const number = asked.data ? ` ${count(all.filter(own(FILTERS, name) ?? (() => true)).length)}` : "";
    return [name, `${title}${number}`] as const;
  };
  return (
    <SearchPage
      title="Rules"
      about="Recording and alerting rules: how long each takes, whether it fails, and whether what it reads is there."
      label="Search rules"
      placeholder="Name, group, expression"
      actions={
        <Choice
          label="Which rules"
          value={show}
          choices={[
            choice("", "All"),
            choice("ok", "Ok"),
            choice("unknown", "Not run yet"),
            choice("err", "Failing"),
            choice("dead", "Never matched"),
            choice("waiting", "Nothing so far"),
          ]}
          onChange={setShow}
        />
      }
    >
      <RuleTable
        asked={asked}
        label="Rules"
        columns={COLUMNS}
        rows={rows}
        all={all.length}
        noneFits={{ title: "No rule fits", advice: "Empty the search, or choose all rules." }}
        none="There are no rules"
        isRanked={search !== ""}
      />
    </SearchPage>
  );
}
