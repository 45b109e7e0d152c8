/** What the server wrote into the document: what a script cannot ask for. */

function told(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="trimon-${name}"]`)?.content ?? "";
}

/** What stands before every path: "" or "/prom". */
export const prefix = told("prefix");
/** The title that --web.page-title gives, else "". */
export const pageTitle = told("title");
export const version = told("version");
/** Whether the server was still reading its log when it sent the document. */
export const startsNow = told("starting") === "1";
/** Whether it only scrapes and sends. */
export const isAgent = told("agent") === "1";
/** Where console templates begin; "" where the server has none. */
export const consoles = told("consoles");
export type Permission = "debug" | "queries" | "plan" | "scrape" | "delete";
/** What who asks may do, of what not everybody may. */
const permissions: ReadonlySet<string> = new Set(told("may").split(" "));

export function may(permission: Permission): boolean {
  return permissions.has(permission);
}

/** What style sheets made by scripts must carry. */
export const styleNonce = told("nonce");
