import { remembered } from "../../../state/preferences";
import { isOn } from "./settings";

export const HISTORY_MAX = 100;
const LENGTH_MAX = 10_000;

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === "string");

/** Expressions that were asked in this browser, the last one first. */
export const queryHistory = remembered<string[]>("query-history", [], isTexts);

export function remember(expression: string): void {
  const text = expression.trim();
  if (!isOn("history") || !text || text.length > LENGTH_MAX) return;
  queryHistory.value = [text, ...queryHistory.value.filter((each) => each !== text)].slice(0, HISTORY_MAX);
}
