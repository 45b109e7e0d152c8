import { syntaxTree } from "@codemirror/language";
import type { EditorView } from "@codemirror/view";
import type { PromQLExtension } from "@prometheus-io/codemirror-promql";

/** Looking at a tree takes the cube of its depth: a thousand signs before a name would hold the page for ten seconds. */
const DEPTH_MAX = 100;

/** How deep expressions are nested, as far as it matters. */
function isDeep(view: EditorView): boolean {
  let depth = 0;
  let isBeyond = false;
  syntaxTree(view.state).iterate({
    enter() {
      depth += 1;
      isBeyond ||= depth > DEPTH_MAX;
      return !isBeyond;
    },
    leave() {
      depth -= 1;
    },
  });
  return isBeyond;
}

/** The extension with errors that need no server; of what is nested too deep the server alone tells what is wrong. */
export function withLinter(extension: PromQLExtension, isOn: boolean): PromQLExtension {
  const look = extension.getLinter().promQL();
  return extension
    .setLinter({ promQL: () => (view) => (isDeep(view) ? [] : look(view)) })
    .activateLinter(isOn);
}
