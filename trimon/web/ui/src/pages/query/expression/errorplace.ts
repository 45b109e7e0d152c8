/** Where in an expression the server found an error: "invalid parameter "query": 1:15: parse error: …". */

export interface Place {
  line: number;
  column: number;
}

const PLACE = /(?:^|: )(\d+):(\d+): /;

export function placeOf(message: string): Place | undefined {
  const found = PLACE.exec(message);
  return found ? { line: Number(found[1]), column: Number(found[2]) } : undefined;
}

/** The offset of a place, counted in characters from 1; the end of the line or text where it lies beyond. */
export function offsetOf(text: string, place: Place): number {
  let start = 0;
  for (let line = 1; line < place.line; line++) {
    const end = text.indexOf("\n", start);
    if (end < 0) return text.length;
    start = end + 1;
  }
  const end = text.indexOf("\n", start);
  return Math.min(start + Math.max(0, place.column - 1), end < 0 ? text.length : end);
}

/** What is said of a parameter, without the parameter: it is what somebody has just typed. */
export function sentenceOf(message: string): string {
  return message.replace(/^invalid parameter "[^"]*": /, "");
}
