/** Why the last reload failed, of all that the log has. */

export interface Problem {
  level: string;
  message: string;
  fields: Record<string, unknown>;
  last: string;
}

// What the log says when a reload fails. The reason itself is in a field.
const MESSAGES = new Set([
  "reloading the configuration failed",
  "reloading the configuration failed by a bug",
  "Failed to apply configuration",
  "loading rule files failed",
]);

/** The reason of the newest failure, with its place in the file; "" where the log has none. */
export function reloadError(problems: readonly Problem[]): string {
  const failures = problems.filter((each) => MESSAGES.has(each.message));
  const newest = failures.reduce<Problem | undefined>(
    (best, each) => (best && Date.parse(best.last) > Date.parse(each.last) ? best : each),
    undefined,
  );
  return newest ? String(newest.fields.err ?? "") : "";
}
