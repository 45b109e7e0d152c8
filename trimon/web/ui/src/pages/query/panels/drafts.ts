/** What is typed in the panels and not run, while this page of the browser lives. */

export interface Draft {
  /** What the panel asked when it was typed. */
  expression: string;
  typed: string;
}

const drafts: Draft[] = [];
/** How many empty panels stand behind those of the URL. */
export const blanks = { count: 0 };

/** The draft of the panel at a place. */
export function draftAt(at: number): Draft {
  const found = drafts[at] ?? { expression: "", typed: "" };
  drafts[at] = found;
  return found;
}

/** Forgets what is typed from a place on: panels have moved there. */
export function forgetDrafts(from: number): void {
  drafts.length = Math.min(drafts.length, from);
}
