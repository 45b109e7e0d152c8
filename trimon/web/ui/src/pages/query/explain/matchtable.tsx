import { useState } from "preact/hooks";
import { useAsked } from "../../../api/asked";
import { ask } from "../../../api/client";
import { hasSeries, type Result } from "../../../api/results";
import { Badge, type Tone } from "../../../components/badge";
import { LabelChips } from "../../../components/labels";
import { Scrolled } from "../../../components/layout/scrolled";
import { Loaded } from "../../../components/states";
import { type Labels, seriesName } from "../../../values/labels";
import { count } from "../../../values/numbers";
import { type Panel, timeParameter } from "../panels/panel";
import { type MatchGroup, matchGroups } from "./matching";
import { type Binary, type Expression, expressionText, type Matching } from "./syntax";

const SERIES_MAX = 1000;
const GROUPS_SHOWN = 20;
const SIDE_SHOWN = 3;
const TONES: Record<MatchGroup["outcome"], Tone> = {
  matched: "good",
  kept: "good",
  filled: "info",
  dropped: "none",
  error: "bad",
};

async function side(node: Expression, panel: Panel, signal: AbortSignal): Promise<Labels[]> {
  const parameters = { query: expressionText(node), ...timeParameter(panel), limit: SERIES_MAX };
  const answer = await ask<Result>("/query", parameters, { signal, post: true });
  return hasSeries(answer.data) ? answer.data.result.map((each) => each.metric) : [];
}

function Side({ series }: { series: readonly Labels[] }) {
  if (!series.length) return <span class="muted">nothing</span>;
  return (
    <>
      {series.slice(0, SIDE_SHOWN).map((labels) => (
        <div key={seriesName(labels)}>
          <code>{seriesName(labels)}</code>
        </div>
      ))}
      {series.length > SIDE_SHOWN ? (
        <div class="muted">and {count(series.length - SIDE_SHOWN)} more</div>
      ) : null}
    </>
  );
}

function Groups({ groups }: { groups: readonly MatchGroup[] }) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? groups : groups.slice(0, GROUPS_SHOWN);
  return (
    <>
      <Scrolled label="Which series belong together">
        <table class="plain-table match-table">
          <thead>
            <tr>
              <th scope="col">Alike in</th>
              <th scope="col">Left</th>
              <th scope="col">Right</th>
              <th scope="col">What becomes of them</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((group) => (
              <tr key={group.key}>
                <td>
                  {Object.keys(group.labels).length ? (
                    <LabelChips labels={group.labels} />
                  ) : (
                    <span class="muted">no label</span>
                  )}
                </td>
                <td>
                  <Side series={group.left} />
                </td>
                <td>
                  <Side series={group.right} />
                </td>
                <td>
                  <Badge tone={TONES[group.outcome]}>{group.outcome}</Badge> {group.why}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
      {groups.length > shown.length ? (
        <button type="button" class="plain" onClick={() => setWhole(true)}>
          Show all {count(groups.length)}
        </button>
      ) : null}
    </>
  );
}

/** Which series of both sides belong together now, and what becomes of each. */
export function MatchTable({
  node,
  matching,
  panel,
  turn,
}: {
  node: Binary;
  matching: Matching;
  panel: Panel;
  turn: number;
}) {
  const asked = useAsked(
    async (signal) => {
      const [left, right] = await Promise.all([side(node.lhs, panel, signal), side(node.rhs, panel, signal)]);
      return { left, right };
    },
    [expressionText(node), panel.endMs, turn],
  );
  return (
    <Loaded asked={asked}>
      {({ left, right }) => {
        const groups = matchGroups(node.op, matching, left, right);
        const isCut = left.length >= SERIES_MAX || right.length >= SERIES_MAX;
        const wrong = groups.filter((each) => each.outcome === "error").length;
        return (
          <>
            <p>
              {count(left.length)} series on the left, {count(right.length)} on the right,{" "}
              {groups.length === 1 ? "1 group" : `${count(groups.length)} groups`}.
              {isCut ? ` Only the first ${count(SERIES_MAX)} of each side are looked at.` : ""}
              {wrong ? (
                <strong class="bad-text">
                  {" "}
                  {count(wrong)} of them {wrong === 1 ? "makes" : "make"} the query fail.
                </strong>
              ) : null}
            </p>
            {groups.length ? <Groups groups={groups} /> : null}
          </>
        );
      }}
    </Loaded>
  );
}
