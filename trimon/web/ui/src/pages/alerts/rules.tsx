import { useMemo } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { useUrlState } from "../../app/urlstate";
import { Badge } from "../../components/badge";
import { Choice } from "../../components/choice";
import { CopyButton } from "../../components/copy";
import { PromQL } from "../../components/promql";
import { SearchPage, useSearch } from "../../components/searchpage";
import type { Column } from "../../components/table";
import { Ago } from "../../components/time";
import { humanDuration } from "../../values/durations";
import { count } from "../../values/numbers";
import { own } from "../../values/own";
import { matches, words } from "../../values/search";
import { parseApiTime } from "../../values/times";
import { fileName, type Group, healthTone, type Placed, placed, ruleText } from "./model";
import { RuleTable } from "./ruletable";
import type { ReadingGroup } from "./selectors";
import "../../styles/code.css";

const EVERY_MS = 10_000;

interface Row extends Placed {
  isDead: boolean;
}

/** The rules that read something which is not there, by group and expression. */
function deadRules(groups: readonly ReadingGroup[]): Set<string> {
  return new Set(
    groups.flatMap((group) =>
      group.rules
        .filter((rule) => rule.dead)
        .map((rule) => `${group.file};${group.name};${rule.name};${rule.query}`),
    ),
  );
}

const COLUMNS: readonly Column<Row>[] = [
  {
    name: "health",
    title: "Health",
    width: "7.5rem",
    cell: ({ rule, isDead }) => (
      <>
        <Badge tone={healthTone(rule.health)}>{rule.health}</Badge>
        {isDead ? (
          <Badge tone="warn" title="A selector of it has matched nothing">
            never matched
          </Badge>
        ) : null}
      </>
    ),
    sort: ({ rule, isDead }) => (rule.health === "err" ? 0 : isDead ? 1 : rule.health === "unknown" ? 2 : 3),
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
  failing: ({ rule }) => rule.health === "err",
  ok: ({ rule }) => rule.health === "ok",
  unknown: ({ rule }) => rule.health === "unknown",
  dead: ({ isDead }) => isDead,
};

/** Every rule, how long it takes, whether it fails, and whether it reads anything at all. */
export default function RulesPage() {
  const asked = useAsked((signal) => ask<{ groups: Group[] }>("/rules", {}, { signal }), [], EVERY_MS);
  const reading = useAsked(
    (signal) => ask<{ groups: ReadingGroup[] }>("/rules/selectors", { dead: "true" }, { signal }),
    [],
    EVERY_MS,
  );
  const [search] = useSearch();
  const [chosen, setShow] = useUrlState("show");
  // Prometheus' links name the health.
  const [health] = useUrlState("health");
  const show = chosen || (health === "err" ? "failing" : Object.hasOwn(FILTERS, health) ? health : "");
  const all = useMemo<Row[]>(() => {
    const dead = deadRules(reading.data?.data.groups ?? []);
    return placed(asked.data?.data.groups ?? []).map((row) => ({
      ...row,
      isDead: dead.has(`${row.group.file};${row.group.name};${row.rule.name};${row.rule.query}`),
    }));
  }, [asked.data, reading.data]);
  const rows = useMemo(() => {
    const wanted = words(search);
    const fits = own(FILTERS, show) ?? FILTERS[""];
    return all.filter((row) => fits?.(row) && matches(wanted, ruleText(row)));
  }, [all, search, show]);
  const number = (name: string) => count(all.filter(own(FILTERS, name) ?? (() => true)).length);
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
            ["", `All ${number("")}`],
            ["ok", `Ok ${number("ok")}`],
            ["unknown", `Not run yet ${number("unknown")}`],
            ["failing", `Failing ${number("failing")}`],
            ["dead", `Never matched ${number("dead")}`],
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
      />
    </SearchPage>
  );
}
