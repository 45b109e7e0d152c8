import { useMemo } from "preact/hooks";
import { useParameters } from "../../app/urlstate";
import { Icon } from "../../components/icon";
import { Page } from "../../components/page";
import { DEFAULT_PANEL, type Panel } from "./panel";
import { PanelView } from "./panelview";
import { decodePanels, encodePanels, PANELS_MAX } from "./urlpanels";
import "../../styles/code.css";
import "../../styles/query.css";

/** Panels, each with a question of its own; all of it stands in the URL. */
export default function QueryPage() {
  const [parameters, setParameters] = useParameters();
  const query = parameters.toString();
  const panels = useMemo(() => decodePanels(new URLSearchParams(query)), [query]);
  const asked = [...parameters.keys()].filter((name) => /^g\d+\.expr$/.test(name)).length;
  const write = (next: readonly Panel[], isReplaced = false) =>
    setParameters(() => encodePanels(next), { replace: isReplaced });
  const change = (at: number, part: Partial<Panel>) =>
    write(
      panels.map((panel, place) => (place === at ? { ...panel, ...part } : panel)),
      !("expression" in part),
    );
  return (
    <Page title="Query">
      {asked > panels.length ? (
        <p class="notice warn">
          The first {panels.length} of {asked} panels of this link are shown.
        </p>
      ) : null}
      {panels.map((panel, at) => (
        <PanelView
          // A panel is its place: it has nothing else that lasts.
          key={String(at)}
          panel={panel}
          isFirst={at === 0}
          label={panels.length === 1 ? "the panel" : `panel ${at + 1}`}
          onChange={(part) => change(at, part)}
          onDuplicate={() => write([...panels.slice(0, at + 1), panel, ...panels.slice(at + 1)])}
          onRemove={panels.length > 1 ? () => write(panels.filter((_, place) => place !== at)) : undefined}
        />
      ))}
      <div>
        <button
          type="button"
          disabled={panels.length >= PANELS_MAX}
          onClick={() => write([...panels, DEFAULT_PANEL])}
        >
          <Icon name="plus" />
          Add a panel
        </button>
      </div>
    </Page>
  );
}
