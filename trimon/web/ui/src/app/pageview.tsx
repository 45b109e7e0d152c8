import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useSearch } from "wouter-preact/use-browser-location";
import { NotLoaded } from "../components/lazy";
import { comebacks } from "../state/comeback";
import { noteVisit } from "../state/lastvisits";
import { pageTitle } from "../state/server";
import type { Route } from "./routes";
import { StartingPage, starting } from "./starting";

const loaded = new Map<string, ComponentType>();

/** Loads a page's code when it is first opened. The one before stays out of the way: nothing is drawn twice. */
export function PageView({ route }: { route: Route }) {
  const [, redraw] = useState(0);
  const [error, setError] = useState<unknown>();
  const query = useSearch().replace(/^\?/, "");
  useEffect(() => noteVisit(route.path, query), [route, query]);
  const failedAt = useRef<number>();
  useEffect(() => {
    document.title = `${route.title} · ${pageTitle || "trimon"}`;
    if (loaded.has(route.path)) return;
    route.page().then(
      (module) => {
        loaded.set(route.path, module.default);
        setError(undefined);
        redraw((turn) => turn + 1);
      },
      (reason: unknown) => {
        // A browser may remember that a file could not be fetched, and an update has other ones: once the server is back the
        // document is fetched anew.
        if (failedAt.current !== undefined && failedAt.current !== comebacks.value) window.location.reload();
        failedAt.current = comebacks.value;
        setError(reason);
      },
    );
  }, [route, comebacks.value]);
  if (error !== undefined) {
    return <NotLoaded />;
  }
  if (route.needsSamples && starting.value) return <StartingPage title={route.title} />;
  const Page = loaded.get(route.path);
  return Page ? <Page /> : <div class="loading" aria-busy="true" />;
}

/** Fetches the code of a page before it is asked for. */
export function preload(route: Route): void {
  if (!loaded.has(route.path)) {
    route.page().then(
      (module) => loaded.set(route.path, module.default),
      () => undefined,
    );
  }
}
