import { useEffect } from "preact/hooks";
import { Link } from "wouter-preact";
import { Page } from "../components/layout/page";
import { Empty } from "../components/states";
import { isAgent, pageTitle } from "../state/server";

/** What is at an address that no page has; the navigation beside it leads on. */
export function NotFoundPage() {
  useEffect(() => {
    document.title = `No such page · ${pageTitle || "trimon"}`;
  }, []);
  return (
    <Page title="No such page">
      <Empty title={`There is nothing at ${window.location.pathname}`}>
        The address may be mistyped, or of another version.{" "}
        <Link href={isAgent ? "/targets" : "/query"}>{isAgent ? "Targets" : "Queries"}</Link> are here, and
        all pages are in the navigation.
      </Empty>
    </Page>
  );
}
