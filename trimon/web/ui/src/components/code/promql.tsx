import { highlightCode, tagHighlighter, tags } from "@lezer/highlight";
import { parser } from "@prometheus-io/lezer-promql";
import { useMemo } from "preact/hooks";
import { Link } from "wouter-preact";

interface Piece {
  text: string;
  kind: string;
}

const KINDS = tagHighlighter([
  { tag: [tags.string], class: "text" },
  { tag: [tags.number, tags.literal], class: "number" },
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], class: "word" },
  { tag: tags.function(tags.variableName), class: "function" },
  { tag: tags.labelName, class: "key" },
  { tag: tags.comment, class: "comment" },
]);

function pieces(expression: string): Piece[] {
  const found: Piece[] = [];
  highlightCode(
    expression,
    parser.parse(expression),
    KINDS,
    (text, kind) => found.push({ text, kind }),
    () => found.push({ text: "\n", kind: "" }),
  );
  return found;
}

/** An expression with colours; a click asks it. */
export function PromQL({ expression, tab = "table" }: { expression: string; tab?: string }) {
  const found = useMemo(() => pieces(expression), [expression]);
  const query = new URLSearchParams({ "g0.expr": expression, "g0.tab": tab });
  return (
    <Link href={`/query?${query}`} class="promql" title="Ask it">
      <code>
        {found.map((piece, at) => (
          <span key={`${at} ${piece.kind}`} class={piece.kind ? `yaml-of-${piece.kind}` : ""}>
            {piece.text}
          </span>
        ))}
      </code>
    </Link>
  );
}
