import { useMemo, useRef } from "preact/hooks";
import { yamlPieces } from "../../values/yaml";
import { useBoxRows } from "../tables/virtual";
import "../../styles/code.css";

const LINE_PX = 20;
// Shorter texts are drawn whole, so that the browser finds words in them.
const WHOLE_MAX = 1500;

function Line({ text, number, isMarked }: { text: string; number: number; isMarked: boolean }) {
  return (
    <div class={isMarked ? "yaml-line marked" : "yaml-line"}>
      <span class="yaml-number" aria-hidden="true">
        {number}
      </span>
      <code>
        {yamlPieces(text).map((piece, at) => (
          // The pieces of a line never change their places.
          <span key={at} class={`yaml-of-${piece.kind}`}>
            {piece.text}
          </span>
        ))}
      </code>
    </div>
  );
}

/** YAML with colours and line numbers; of a long text the lines that are seen. `marks` are numbers of lines from 1. */
export function Yaml({ text, marks, label }: { text: string; marks?: ReadonlySet<number>; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => text.replace(/\n$/, "").split("\n"), [text]);
  const isWhole = lines.length <= WHOLE_MAX;
  const rows = useBoxRows({
    count: isWhole ? 0 : lines.length,
    estimate: () => LINE_PX,
    box: () => box.current,
  });
  const line = (at: number) => (
    <Line text={lines[at] ?? ""} number={at + 1} isMarked={marks?.has(at + 1) ?? false} />
  );
  if (isWhole) {
    return (
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls is reached by the keyboard
      <section class="yaml" aria-label={label} ref={box} tabIndex={0}>
        {lines.map((each, at) => (
          <Line key={at} text={each} number={at + 1} isMarked={marks?.has(at + 1) ?? false} />
        ))}
      </section>
    );
  }
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls is reached by the keyboard
    <section class="yaml long" aria-label={label} ref={box} tabIndex={0}>
      <div class="yaml-whole" style={{ height: `${rows.getTotalSize()}px` }}>
        {rows.getVirtualItems().map((item) => (
          <div key={item.key} class="yaml-place" style={{ transform: `translateY(${item.start}px)` }}>
            {line(item.index)}
          </div>
        ))}
      </div>
    </section>
  );
}
