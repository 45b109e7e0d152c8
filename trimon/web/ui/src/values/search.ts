/**
 * Search in lists: every word must be somewhere, in any order; the case does not count, a word after "-" must not be there.
 * Where no entry has the words as they stand, their characters in order within one word of the entry are enough:
 * "hstoutmem" finds HostOutOfMemory, "nodcpu" finds node_cpu_seconds_total.
 */

export function words(text: string): string[] {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}

function refused(word: string): string | undefined {
  return word.length > 1 && word[0] === "-" ? word.slice(1) : undefined;
}

/** Whether a text has all words as they stand. */
export function matches(wanted: readonly string[], text: string): boolean {
  const low = text.toLowerCase();
  return wanted.every((word) => {
    const no = refused(word);
    return no === undefined ? low.includes(word) : !low.includes(no);
  });
}

/** Fewer characters are in nearly every word. */
const SUBSEQUENCE_MIN = 3;

function isSubsequence(word: string, of: string): boolean {
  let at = -1;
  for (const character of word) {
    at = of.indexOf(character, at + 1);
    if (at < 0) return false;
  }
  return true;
}

/** Whether a text has all words, at least by their characters in order within one word of its own. */
export function resembles(wanted: readonly string[], text: string): boolean {
  const parts = words(text);
  return wanted.every((word) => {
    const no = refused(word);
    if (no !== undefined) return !parts.some((part) => part.includes(no));
    return parts.some(
      (part) => part.includes(word) || (word.length >= SUBSEQUENCE_MIN && isSubsequence(word, part)),
    );
  });
}

/** How well a text has the words: 0 where a part of it is the first word, 1 where one begins with it, 2 elsewhere. */
function distance(wanted: readonly string[], text: string): number {
  const [word] = wanted;
  if (word === undefined) return 0;
  const parts = words(text).flatMap((part) => [part, part.slice(part.indexOf("=") + 1)]);
  if (parts.includes(word)) return 0;
  return parts.some((part) => part.startsWith(word)) ? 1 : 2;
}

/** The rows that a search finds, those first that have its first word as a whole, then those with a word that begins so. */
export function found<R>(rows: readonly R[], search: string, textOf: (row: R) => string): readonly R[] {
  const wanted = words(search);
  if (!wanted.length) return rows;
  const texts = rows.map((row) => ({ row, text: textOf(row) }));
  let fitting = texts.filter(({ text }) => matches(wanted, text));
  if (!fitting.length) fitting = texts.filter(({ text }) => resembles(wanted, text));
  return fitting
    .map(({ row, text }) => ({ row, by: distance(wanted, text) }))
    .sort((a, b) => a.by - b.by)
    .map(({ row }) => row);
}
