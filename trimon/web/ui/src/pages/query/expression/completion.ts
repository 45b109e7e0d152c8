import {
  acceptCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  completionStatus,
  currentCompletions,
  setSelectedCompletion,
} from "@codemirror/autocomplete";
import type { EditorView } from "@codemirror/view";
import {
  type CompleteStrategy,
  newCompleteStrategy,
  PromQLExtension,
} from "@prometheus-io/codemirror-promql";
import { prefix } from "../../../state/server";
import { queryHistory } from "./history";
import { withLinter } from "./linting";
import { isOn } from "./settings";

const METRICS_MAX = 20_000;
const WORD = /[\p{L}\p{N}_:]+$/u;
const PAST = "asked before";

/** Whether an expression or a list has just been closed: what may follow needs a space first. */
export function isAfterEnd(before: string): boolean {
  return /[)\]}]$/.test(before);
}

/**
 * A result that holds at the cursor, without what would replace more than the word that stands there; undefined for one
 * whose place is not the cursor's. Behind a closed list of labels the grammar still means the list.
 */
export function fitting(found: CompletionResult, text: string, at: number): CompletionResult | null {
  const to = Math.max(found.to ?? at, at);
  if (found.from > at || to > text.length) return null;
  return /[()[\]{}]/.test(text.slice(found.from, at)) ? null : { ...found, to };
}

class Completions implements CompleteStrategy {
  readonly #found: CompleteStrategy;
  constructor(found: CompleteStrategy) {
    this.#found = found;
  }
  async promQL(context: CompletionContext): Promise<CompletionResult | null> {
    const text = context.state.doc.toString();
    if (!context.explicit && isAfterEnd(text.slice(0, context.pos))) return null;
    const found = await this.#found.promQL(context);
    return found && fitting(found, text, context.pos);
  }
  destroy(): void {
    this.#found.destroy?.();
  }
}

/** PromQL for the editor: grammar, completion from this server, and errors that need no server. */
export function promql(): PromQLExtension {
  const found = newCompleteStrategy({
    remote: {
      url: prefix,
      fetchFn: (input, init) => fetch(input, { ...init, credentials: "same-origin" }),
      httpMethod: "GET",
      cache: { maxAge: 5 * 60 * 1000 },
    },
    maxMetricsMetadata: METRICS_MAX,
  });
  return withLinter(new PromQLExtension(), isOn("linter")).setComplete({
    completeStrategy: new Completions(found),
  });
}

/** What was asked before, as completions of the whole text. */
export function pastExpressions(text: string): { label: string; detail: string }[] {
  if (!isOn("history")) return [];
  const low = text.toLowerCase();
  return queryHistory.value
    .filter((each) => each !== text && each.toLowerCase().includes(low))
    .slice(0, 5)
    .map((label) => ({ label, detail: PAST }));
}

/**
 * The place of the only completion that the text before the cursor can be the beginning of; -1 where there are several,
 * none, or where what stands there is whole already.
 */
export function onlyMeant(before: string, completions: readonly Completion[]): number {
  const word = WORD.exec(before)?.[0] ?? "";
  if (!/^[\p{L}_:]/u.test(word)) return -1;
  const begun = completions.flatMap((each, at) =>
    each.detail !== PAST && each.label.startsWith(word) ? [at] : [],
  );
  return begun.length === 1 && completions[begun[0] ?? 0]?.label !== word ? (begun[0] ?? -1) : -1;
}

/** Takes the completion that is chosen, or the only one that can be meant; false where the text is to be taken as it is. */
export function takeMeant(view: EditorView): boolean {
  if (completionStatus(view.state) !== "active") return false;
  const before = view.state.sliceDoc(0, view.state.selection.main.head);
  const at = onlyMeant(before, currentCompletions(view.state));
  if (at < 0) return false;
  view.dispatch({ effects: setSelectedCompletion(at) });
  return acceptCompletion(view);
}

/** Takes the first completion of an open list where none is chosen. */
export function takeFirst(view: EditorView): boolean {
  if (completionStatus(view.state) !== "active") return false;
  if (acceptCompletion(view)) return true;
  view.dispatch({ effects: setSelectedCompletion(0) });
  return acceptCompletion(view);
}
