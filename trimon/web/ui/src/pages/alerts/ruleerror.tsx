import type { Placed } from "./model";

/** Why a rule fails, below its row. */
export function errorOf({ rule }: Placed) {
  return rule.lastError ? <span class="bad-text">{rule.lastError}</span> : null;
}
