import { useState } from "preact/hooks";
import { type Labels, labelName, quoted } from "../../values/labels";
import { toClipboard } from "../controls/copy";

const PLAIN_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAID_MS = 1500;

/** A series with colours; a double click on a label copies it as a matcher. */
export function SeriesLabels({ labels }: { labels: Labels }) {
  const [copied, setCopied] = useState("");
  const { __name__: name, ...others } = labels;
  const isPlain = name === undefined || PLAIN_NAME.test(name);
  const all = Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1));
  const copy = async (matcher: string) => {
    await toClipboard(matcher);
    window.getSelection()?.removeAllRanges();
    setCopied(matcher);
    setTimeout(() => setCopied(""), SAID_MS);
  };
  const hasBraces = all.length > 0 || name === undefined || !isPlain;
  return (
    <code class="series-name">
      {isPlain ? <span class="series-metric">{name}</span> : null}
      {hasBraces ? "{" : ""}
      {isPlain ? null : (
        <span>
          <span class="yaml-of-text">{quoted(name)}</span>
          {all.length ? ", " : ""}
        </span>
      )}
      {all.map(([label, value], at) => {
        const matcher = `${labelName(label)}=${quoted(value)}`;
        return (
          <span key={label}>
            {at ? ", " : ""}
            {/* biome-ignore lint/a11y/noStaticElementInteractions: the button beside it copies the whole series for the keyboard */}
            <span
              class={copied === matcher ? "series-label copied" : "series-label"}
              title={copied === matcher ? "Copied" : "A double click copies this matcher"}
              onDblClick={() => copy(matcher)}
            >
              <span class="yaml-of-key">{labelName(label)}</span>=
              <span class="yaml-of-text">{quoted(value)}</span>
            </span>
          </span>
        );
      })}
      {hasBraces ? "}" : ""}
    </code>
  );
}
