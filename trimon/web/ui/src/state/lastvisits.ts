import { signal } from "@preact/signals";

const NAME = "trimon.last-visits";

function stored(): Record<string, string> {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(NAME) ?? "{}");
    return found && typeof found === "object" ? (found as Record<string, string>) : {};
  } catch {
    return {};
  }
}

const visits = signal(stored());

/** Keeps what stood in the URL of a page, within this tab. */
export function noteVisit(path: string, query: string): void {
  if ((visits.peek()[path] ?? "") === query) return;
  visits.value = { ...visits.peek(), [path]: query };
  try {
    sessionStorage.setItem(NAME, JSON.stringify(visits.peek()));
  } catch {
    // A browser may refuse to keep anything; it is then forgotten with the page.
  }
}

/** The path of a page with what stood in its URL when it was last seen. */
export function lastVisit(path: string): string {
  const query = visits.value[path];
  return query ? `${path}?${query}` : path;
}
