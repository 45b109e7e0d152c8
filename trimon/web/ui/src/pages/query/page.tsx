import { useMemo, useRef, useState } from "preact/hooks";
import { Icon } from "../../components/icon";
import { Page } from "../../components/layout/page";
import { useParameters } from "../../state/urlstate";
import { blanks, draftAt, forgetDrafts } from "./panels/drafts";
import { DEFAULT_PANEL, isBlank, type Panel } from "./panels/panel";
import { decodePanels, encodePanels, PANELS_MAX } from "./panels/url";
import { PanelView } from "./panelview";
import "../../styles/code.css";
import "../../styles/query.css";

/** Panels, each with a question of its own; all of it stands in the URL. */
export default function QueryPage() {
  const [parameters, setParameters] = useParameters();
  const query = parameters.toString();
  const inUrl = useMemo(() => decodePanels(new URLSearchParams(query)), [query]);
  // Empty panels at the end say nothing to anybody else, so they do not stand in the URL.
  const [blankCount, setBlankCount] = useState(blanks.count);
  const added = useRef(-1);
  const panels = [...inUrl, ...new Array<Panel>(blankCount).fill(DEFAULT_PANEL)].slice(0, PANELS_MAX);
  const asked = [...parameters.keys()].filter((name) => /^g\d+\.expr$/.test(name)).length;
  const write = (next: readonly Panel[], isReplaced = false) => {
    const kept = next.slice(0, next.findLastIndex((panel) => !isBlank(panel)) + 1);
    blanks.count = next.length - Math.max(1, kept.length);
    setBlankCount(blanks.count);
    const shown = encodePanels(kept);
    if (shown.toString() !== query) setParameters(() => shown, { replace: isReplaced });
  };
  const change = (at: number, part: Partial<Panel>) =>
    write(
      panels.map((panel, place) => (place === at ? { ...panel, ...part } : panel)),
      // What is asked and for when can be gone back from.
      !("expression" in part || "endMs" in part || "rangeMs" in part),
    );
  return (
    <Page title="Query">
      {asked > PANELS_MAX ? (
        <p class="notice warn">
          The first {PANELS_MAX} of {asked} panels of this link are shown.
        </p>
      ) : null}
      {panels.map((panel, at) => (
        <PanelView
          // A panel is its place: it has nothing else that lasts.
          key={String(at)}
          panel={panel}
          isFirst={at === 0}
          isNew={at === added.current}
          draft={draftAt(at)}
          label={panels.length === 1 ? "the panel" : `panel ${at + 1}`}
          onChange={(part) => change(at, part)}
          onDuplicate={() => write([...panels.slice(0, at + 1), panel, ...panels.slice(at + 1)])}
          onRemove={
            panels.length > 1
              ? () => {
                  forgetDrafts(at);
                  write(panels.filter((_, place) => place !== at));
                }
              : undefined
          }
        />
      ))}
      <div>
        <button
          type="button"
          disabled={panels.length >= PANELS_MAX}
          onClick={() => {
            added.current = panels.length;
            write([...panels, DEFAULT_PANEL]);
          }}
        >
          <Icon name="plus" />
          Add a panel
        </button>
      </div>
    </Page>
  );
}
