/** YAML as pieces with a kind each, for colours alone: what the server writes, line by line; nothing is understood. */

export interface Piece {
  text: string;
  kind: "key" | "text" | "number" | "word" | "comment" | "secret" | "plain";
}

const LINE = /^(\s*(?:- )*)([^\s:#"'-][^:#]*?|"[^"]*"|'[^']*')(:)(?=\s|$)(.*)$/;
const ITEM = /^(\s*(?:- )+)(.*)$/;

function valuePiece(text: string): Piece {
  const trimmed = text.trim();
  if (trimmed === "<secret>") return { text, kind: "secret" };
  if (trimmed.startsWith("#")) return { text, kind: "comment" };
  if (/^(true|false|null|~)$/.test(trimmed)) return { text, kind: "word" };
  if (/^[-+]?\d+(\.\d+)?([a-zA-Z]+\d*)*$/.test(trimmed)) return { text, kind: "number" };
  return { text, kind: trimmed ? "text" : "plain" };
}

/** The pieces of one line. */
export function yamlPieces(line: string): Piece[] {
  const found = LINE.exec(line);
  if (found) {
    const [, indent = "", key = "", colon = "", value = ""] = found;
    return [
      { text: indent, kind: "plain" },
      { text: key, kind: "key" },
      { text: colon, kind: "plain" },
      valuePiece(value),
    ];
  }
  const item = ITEM.exec(line);
  if (item) return [{ text: item[1] ?? "", kind: "plain" }, valuePiece(item[2] ?? "")];
  return [valuePiece(line)];
}
