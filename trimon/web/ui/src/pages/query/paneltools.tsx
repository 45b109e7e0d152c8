import { ask } from "../../api/client";
import { CopyButton } from "../../components/controls/copy";
import { Icon } from "../../components/icon";
import { prefix } from "../../state/server";
import { curlCommand } from "./answer/share";
import { CostEstimate } from "./expression/estimate";
import { HistoryButton } from "./expression/historylist";
import { MetricButton } from "./expression/metricpicker";
import { SettingsButton } from "./expression/settingslist";
import type { Panel } from "./panels/panel";

interface Properties {
  panel: Panel;
  typed: string;
  /** Whether what is typed was run and failed. */
  isFailed: boolean;
  onTyped: (text: string) => void;
  /** Inserts at the cursor. */
  onInsert: (text: string) => void;
  onError: (error: unknown) => void;
  onChange: (change: Partial<Panel>) => void;
  onDuplicate: () => void;
  onRemove: (() => void) | undefined;
}

async function formatted(text: string): Promise<string> {
  return (await ask<string>("/format_query", { query: text }, { post: true })).data;
}

/** What can be done with an expression, and what it would cost. */
export function PanelTools(properties: Properties) {
  const { panel, typed, isFailed, onTyped, onInsert, onError, onChange, onDuplicate, onRemove } = properties;
  return (
    <div class="row query-tools">
      <CostEstimate panel={panel} typed={typed} isFailed={isFailed} />
      <span class="spring" />
      <button
        type="button"
        class="plain"
        disabled={!typed.trim()}
        onClick={() => formatted(typed).then(onTyped, onError)}
      >
        Format
      </button>
      <button
        type="button"
        class="plain"
        aria-pressed={panel.showTree}
        title="The parts of the expression, and what each gives"
        onClick={() => onChange({ showTree: !panel.showTree })}
      >
        <Icon name="tree" />
        Parts
      </button>
      <HistoryButton onChoose={onTyped} />
      <MetricButton onChoose={onInsert} />
      <SettingsButton />
      <CopyButton text={typed} label="Copy the expression" />
      <button
        type="button"
        class="plain"
        onClick={() =>
          navigator.clipboard?.writeText(curlCommand(panel, window.location.origin + prefix, Date.now()))
        }
        title="Copy a command that asks the same"
      >
        curl
      </button>
      <button
        type="button"
        class="plain"
        onClick={onDuplicate}
        title="The same in another panel"
        aria-label="Duplicate the panel"
      >
        Duplicate
      </button>
      {onRemove ? (
        <button
          type="button"
          class="plain"
          onClick={onRemove}
          aria-label="Remove the panel"
          title="Remove the panel"
        >
          <Icon name="close" />
        </button>
      ) : null}
    </div>
  );
}
