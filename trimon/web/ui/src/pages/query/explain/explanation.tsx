import { Failure, Loading } from "../../../components/states";
import { count } from "../../../values/numbers";
import type { Panel } from "../panels/panel";
import { MatchTable } from "./matchtable";
import { useParsed } from "./parsed";
import { prose } from "./prose";
import { type Expression, expressionText, partCount, partsOf } from "./syntax";

const PARTS_MAX = 200;

/** What stands in parentheses is explained as if it stood alone. */
function inside(node: Expression): Expression {
  let found = node;
  while (found.type === "parenExpr") found = found.expr;
  return found;
}

function Words({ node, level = 0 }: { node: Expression; level?: number }) {
  const { title, texts } = prose(node);
  const parts = partsOf(node)
    .map(inside)
    .filter((part) => part.type !== "numberLiteral" && part.type !== "stringLiteral");
  return (
    <li>
      <p>
        <strong>{title}</strong>
        {level ? (
          <>
            {" "}
            <code>{expressionText(node)}</code>
          </>
        ) : null}
      </p>
      {texts.map((text) => (
        <p key={text}>{text}</p>
      ))}
      {parts.length ? (
        <ul>
          {parts.map((part, at) => (
            <Words key={`${at} ${part.type}`} node={part} level={level + 1} />
          ))}
        </ul>
      ) : null}
    </li>
  );
}

/** What an expression means, in words: the whole first, then what it is made of. */
export function Explanation({ panel, turn }: { panel: Panel; turn: number }) {
  const parsed = useParsed(panel.expression);
  if (parsed.error !== undefined) return <Failure error={parsed.error} />;
  if (!parsed.data) return <Loading />;
  const node = inside(parsed.data);
  if (partCount(node, PARTS_MAX + 1) > PARTS_MAX) {
    return (
      <p class="muted">
        {prose(node).title}, made of more than {count(PARTS_MAX)} parts: too many to explain each.
      </p>
    );
  }
  return (
    <>
      <ul class="plan words">
        <Words node={node} />
      </ul>
      {node.type === "binaryExpr" && node.matching ? (
        <>
          <h3>Which series belong together</h3>
          <MatchTable node={node} matching={node.matching} panel={panel} turn={turn} />
        </>
      ) : null}
    </>
  );
}
