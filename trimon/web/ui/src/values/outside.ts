/** What is done to texts from outside before they are shown. */

// Marks, embeddings, overrides and isolates: they change the order in which what is around them is read.
const TURNING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const LONG = 1000;
const SHOWN = 400;

/** The text with every character that turns directions written out, as `\u202e`. */
export function visible(text: string): string {
  return text.replace(TURNING, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function isLong(text: string): boolean {
  return text.length > LONG;
}

/** The beginning of a long text, without half a character at its end. */
export function cut(text: string): string {
  return text.slice(0, SHOWN).replace(/[\ud800-\udbff]$/, "");
}
