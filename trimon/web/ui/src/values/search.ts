/** Search in lists: every word must be somewhere, in any order; the case does not count. */

export function words(text: string): string[] {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}

/** Whether a text has all words; a word after "-" must not be there. */
export function matches(wanted: readonly string[], text: string): boolean {
  const low = text.toLowerCase();
  return wanted.every((word) =>
    word.length > 1 && word[0] === "-" ? !low.includes(word.slice(1)) : low.includes(word),
  );
}
