import {
  autocompletion,
  type CompletionContext,
  closeBrackets,
  closeBracketsKeymap,
  closeCompletion,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, forceLinting, linter, lintKeymap } from "@codemirror/lint";
import { Compartment, EditorState, type Extension, Prec, StateEffect } from "@codemirror/state";
import { EditorView, highlightSpecialChars, keymap, placeholder, type Rect } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { styleNonce } from "../../../state/server";
import { pastExpressions, promql, takeFirst, takeMeant } from "./completion";
import { offsetOf, type Place } from "./errorplace";
import { isOn } from "./settings";

const COLOURS = HighlightStyle.define([
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.literal], color: "var(--code-number)" },
  {
    tag: [tags.keyword, tags.modifier, tags.operatorKeyword],
    color: "var(--code-keyword)",
    fontWeight: "600",
  },
  { tag: [tags.function(tags.variableName)], color: "var(--code-function)" },
  { tag: [tags.labelName], color: "var(--code-label)" },
  { tag: [tags.comment], color: "var(--muted)", fontStyle: "italic" },
  { tag: [tags.invalid], color: "var(--bad)" },
]);

const LOOK = EditorView.theme({
  "&": { backgroundColor: "var(--surface)", color: "var(--text)", fontSize: "0.95rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { fontFamily: "var(--mono)", caretColor: "var(--text)", padding: "0.5rem 0.25rem" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-scroller": { maxHeight: "16rem", lineHeight: "1.5" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground, ::selection": {
    backgroundColor: "var(--accent-soft) !important",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--accent-soft)", outline: "1px solid var(--accent)" },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    border: "1px solid var(--line-strong)",
    borderRadius: "6px",
    boxShadow: "var(--shadow)",
    overflow: "hidden",
  },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "18rem" },
  ".cm-tooltip-autocomplete > ul > li": { padding: "0.2rem 0.5rem", color: "var(--text)" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--accent-soft)",
    color: "var(--text)",
  },
  ".cm-completionMatchedText": { color: "var(--accent)", textDecoration: "none", fontWeight: "700" },
  ".cm-completionDetail": { color: "var(--muted)", fontStyle: "normal", marginLeft: "1em" },
  ".cm-completionInfo": {
    padding: "0.5rem 0.7rem",
    maxWidth: "24rem",
    backgroundColor: "var(--raised)",
    border: "1px solid var(--line-strong)",
    borderRadius: "6px",
  },
  ".cm-completionIcon": { color: "var(--muted)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)" },
  ".cm-diagnostic": {
    borderLeft: "4px solid var(--bad)",
    padding: "0.4rem 0.6rem",
    fontFamily: "var(--sans)",
  },
});

function askedBefore(context: CompletionContext) {
  const text = context.state.doc.toString();
  if (!context.explicit && text.trim().length < 2) return null;
  const options = pastExpressions(text.trim());
  if (!options.length) return null;
  return {
    from: 0,
    options: options.map((each) => ({ ...each, type: "text", apply: each.label, boost: -99 })),
  };
}

interface Properties {
  value: string;
  onChange: (text: string) => void;
  onRun: (text: string) => void;
  /** Where the server found an error in `value`. */
  error: { place: Place; message: string } | undefined;
  label: string;
  /** Gets what inserts a text at the cursor. */
  inserter: { current: (text: string) => void };
  /** Whether the cursor stands in it from the start, where it is nowhere else. */
  isFirst?: boolean;
  /** Whether the cursor comes into it, wherever it was. */
  isNew?: boolean;
}

const serverSaid = StateEffect.define<null>();

/** The server's error, beside what the editor finds itself: whoever sets diagnostics would wipe the other's. */
function serverError(handlers: { current: Properties }) {
  const look = (view: EditorView): Diagnostic[] => {
    const { error } = handlers.current;
    if (!error) return [];
    const text = view.state.doc.toString();
    const from = Math.min(offsetOf(text, error.place), text.length);
    return [{ from, to: Math.min(from + 1, text.length), severity: "error", message: error.message }];
  };
  return linter(look, {
    needsRefresh: (update) =>
      update.transactions.some((each) => each.effects.some((effect) => effect.is(serverSaid))),
  });
}

const TYPED = { userEvent: "input.type", scrollIntoView: true };

const switched = new Compartment();

/** What the settings switch on and off. */
function switches(): Extension {
  return [
    // Nothing is chosen by itself: Enter runs what stands there, unless somebody went to a completion.
    autocompletion({
      icons: true,
      closeOnBlur: true,
      selectOnOpen: false,
      activateOnTyping: isOn("completion"),
      positionInfo,
    }),
    isOn("colours") ? syntaxHighlighting(COLOURS) : [],
    promql().asExtension(),
  ];
}

/** Beside the list where there is room, and else below it: over the list it would hide what it is about. */
function positionInfo(_: EditorView, list: Rect, __: Rect, info: Rect, space: Rect) {
  const infoWidth = info.right - info.left;
  if (infoWidth <= space.right - list.right) return { style: "top: 0", class: "cm-completionInfo-right" };
  if (infoWidth <= list.left - space.left) return { style: "top: 0", class: "cm-completionInfo-left" };
  const isBelow =
    space.bottom - list.bottom >= info.bottom - info.top || space.bottom - list.bottom >= list.top;
  return { style: `left: 0; right: 0; ${isBelow ? "top" : "bottom"}: 100%`, class: "" };
}

/**
 * Puts typed text in itself. A browser that puts it in first keeps the look of what it replaces or stands beside as a
 * style attribute, which the policy of the page forbids. Composed text must be left to the browser.
 */
function insertTyped(event: InputEvent, view: EditorView): boolean {
  const text = event.data;
  if (event.inputType !== "insertText" || !text || event.isComposing || view.composing) return false;
  const { from, to } = view.state.selection.main;
  const insert = () => view.state.update(view.state.replaceSelection(text), TYPED);
  const isTaken = view.state
    .facet(EditorView.inputHandler)
    .some((take) => take(view, from, to, text, insert));
  if (!isTaken) view.dispatch(insert());
  event.preventDefault();
  return true;
}

function specialCharacter(code: number, description: string | null): HTMLElement {
  const shown = document.createElement("span");
  shown.className = "cm-specialChar";
  shown.textContent = `\\u${code.toString(16).padStart(4, "0")}`;
  shown.title = description ?? shown.textContent;
  return shown;
}

function extensions(handlers: { current: Properties }, told: { current: string | undefined }, label: string) {
  const run = (view: EditorView) => {
    closeCompletion(view);
    handlers.current.onRun(view.state.doc.toString());
    return true;
  };
  const leave = (view: EditorView) => {
    view.contentDOM.blur();
    return false;
  };
  return [
    styleNonce ? EditorView.cspNonce.of(styleNonce) : [],
    // What turns the direction of a text is written out, as everywhere.
    highlightSpecialChars({ render: specialCharacter }),
    history(),
    indentOnInput(),
    bracketMatching(),
    closeBrackets(),
    switched.of(switches()),
    LOOK,
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", autocapitalize: "off" }),
    placeholder("Ask something in PromQL, such as up or rate(http_requests_total[5m])"),
    serverError(handlers),
    EditorState.languageData.of(() => [{ autocomplete: askedBefore }]),
    keymap.of([
      ...closeBracketsKeymap,
      ...completionKeymap,
      ...defaultKeymap,
      ...historyKeymap,
      ...lintKeymap,
    ]),
    Prec.high(
      keymap.of([
        { key: "Enter", run: (view) => takeMeant(view) || run(view) },
        { key: "Tab", run: takeFirst },
        { key: "Ctrl-Enter", mac: "Cmd-Enter", run },
        { key: "Shift-Enter", run: insertNewlineAndIndent },
        { key: "Escape", run: leave },
      ]),
    ),
    EditorView.domEventHandlers({
      beforeinput: insertTyped,
      blur: (event, view) => {
        const to = event.relatedTarget;
        if (to instanceof Element && to.closest(".cm-tooltip-autocomplete")) return;
        // A list that is only asked for would open over the page later on.
        setTimeout(() => closeCompletion(view));
      },
    }),
    EditorView.updateListener.of((update) => {
      if (!update.docChanged) return;
      told.current = update.state.doc.toString();
      handlers.current.onChange(told.current);
    }),
  ];
}

/** An editor for one expression. Enter runs it, Shift-Enter begins a line, Ctrl-Space completes. */
export function ExpressionEditor(properties: Properties) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>();
  const handlers = useRef(properties);
  const told = useRef<string>();
  handlers.current = properties;
  useEffect(() => {
    if (!place.current) return undefined;
    const state = EditorState.create({
      doc: handlers.current.value,
      extensions: extensions(handlers, told, handlers.current.label),
    });
    const made = new EditorView({ state, parent: place.current });
    view.current = made;
    handlers.current.inserter.current = (text) => {
      made.dispatch(made.state.replaceSelection(text));
      made.focus();
    };
    const { isFirst, isNew } = handlers.current;
    if (isNew || (isFirst && document.activeElement === document.body)) made.focus();
    return () => made.destroy();
  }, []);
  const { value, error } = properties;
  const look = [isOn("completion"), isOn("colours"), isOn("linter")].join();
  const lookOfView = useRef(look);
  useEffect(() => {
    if (lookOfView.current === look) return;
    lookOfView.current = look;
    view.current?.dispatch({ effects: switched.reconfigure(switches()) });
  }, [look]);
  // A text that the editor itself told is never written back: the next key may have changed it already, and then both
  // texts would replace each other for ever.
  useLayoutEffect(() => {
    const editor = view.current;
    if (editor && value !== told.current && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);
  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    editor.dispatch({ effects: serverSaid.of(null) });
    forceLinting(editor);
  }, [error?.message, error?.place.line, error?.place.column]);
  return <div class="editor" ref={place} />;
}
