import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useSearch } from "wouter-preact/use-browser-location";
import { NotLoaded } from "../components/lazy";
import { noteVisit } from "./lastvisits";
import type { Route } from "./routes";
import { pageTitle } from "./server";
import { StartingPage, starting } from "./starting";

const loaded = new Map<string, ComponentType>();

/** Loads a page's code when it is first opened. The one before stays out of the way: nothing is drawn twice. */
export function PageView({ route }: { route: Route }) {
  const [, redraw] = useState(0);
  const [error, setError] = useState<unknown>();
  const query = useSearch().replace(/^\?/, "");
  useEffect(() => noteVisit(route.path, query), [route, query]);
  useEffect(() => {
    document.title = `${route.title} · ${pageTitle || "trimon"}`;
    if (loaded.has(route.path)) return;
    route.page().then(
      (module) => {
        loaded.set(route.path, module.default);
        redraw((turn) => turn + 1);
      },
      (reason: unknown) => setError(reason),
    );
  }, [route]);
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
