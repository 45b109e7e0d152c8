import type { Asked } from "../../api/asked";
import { Empty, Loaded } from "../../components/states";
import { type Column, DataTable, type Sorting } from "../../components/tables/table";
import type { Placed } from "./model";
import { RuleDetail } from "./ruledetail";
import "../../styles/alerts.css";

interface Properties<R extends Placed> {
  /** What the rules came with. */
  asked: Asked<unknown>;
  label: string;
  columns: readonly Column<R>[];
  /** Those that fit the search. */
  rows: readonly R[];
  /** How many there are in all. */
  all: number;
  /** What to say where none fits, and where there is none at all. */
  noneFits: { title: string; advice: string };
  none: string;
  initialSort?: Sorting;
  isRanked: boolean;
}

/** Rules as rows that open to all that is known of each; why one fails stands below it. */
export function RuleTable<R extends Placed>(properties: Properties<R>) {
  const { asked, rows, all, noneFits } = properties;
  return (
    <Loaded asked={asked}>
      {() =>
        rows.length ? (
          <DataTable
            label={properties.label}
            columns={properties.columns}
            rows={rows}
            keyOf={(row) => row.key}
            nameOf={(row) => row.rule.name}
            detail={(row) => <RuleDetail row={row} />}
            below={({ rule }) => (rule.lastError ? <span class="bad-text">{rule.lastError}</span> : null)}
            inUrl
            isRanked={properties.isRanked}
            {...(properties.initialSort ? { initialSort: properties.initialSort } : {})}
          />
        ) : all ? (
          <Empty title={noneFits.title}>{noneFits.advice}</Empty>
        ) : (
          <Empty title={properties.none}>
            Name files with rules under <code>rule_files</code> in the configuration.
          </Empty>
        )
      }
    </Loaded>
  );
}
