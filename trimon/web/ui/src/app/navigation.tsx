import { useEffect, useRef, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { Icon } from "../components/icon";
import { lastVisit } from "../state/lastvisits";
import { localTime, type Theme, theme } from "../state/preferences";
import { consoles, isAgent, may, pageTitle, version } from "../state/server";
import { preload } from "./pageview";
import { type Route, routes } from "./routes";

const GROUPS = ["Ask", "Watch", "Server"] as const;
/** Where the name leads. */
const FIRST_PAGE = isAgent ? "/targets" : "/query";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

/** Whether the server has what the page shows, and who asks may see it. */
function isOffered(route: Route): boolean {
  return !(route.notOfAnAgent && isAgent) && (!route.needs || may(route.needs));
}

function Entry({ route, onOpen }: { route: Route; onOpen: () => void }) {
  const [path] = useLocation();
  const isHere = path === route.path;
  return (
    <li>
      <Link
        href={lastVisit(route.path)}
        class={isHere ? "entry here" : "entry"}
        aria-current={isHere ? "page" : undefined}
        onClick={onOpen}
        onPointerEnter={() => preload(route)}
        onFocus={() => preload(route)}
      >
        <Icon name={route.icon} />
        {route.title}
      </Link>
    </li>
  );
}

/** All pages, and the choices that hold everywhere. A column where there is room, a menu where there is none. */
export function Navigation() {
  const [isOpen, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const openNow = useRef(isOpen);
  openNow.current = isOpen;
  useEffect(() => {
    const close = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !openNow.current) return;
      setOpen(false);
      opener.current?.focus();
    };
    document.addEventListener("keydown", close);
    return () => document.removeEventListener("keydown", close);
  }, []);
  return (
    <header class={isOpen ? "navigation open" : "navigation"}>
      <div class="brand">
        <Link href={FIRST_PAGE} class="name">
          <Icon name="mark" />
          {pageTitle || "trimon"}
        </Link>
        <button
          type="button"
          class="plain menu"
          ref={opener}
          aria-expanded={isOpen}
          aria-controls="pages"
          aria-label="Menu"
          onClick={() => setOpen(!isOpen)}
        >
          <Icon name="menu" />
        </button>
      </div>
      <nav id="pages" aria-label="Pages">
        {GROUPS.filter((group) => !(isAgent && group === "Ask")).map((group) => (
          <section key={group} aria-label={group}>
            <h2>{group}</h2>
            <ul>
              {routes
                .filter((route) => route.group === group && isOffered(route))
                .map((route) => (
                  <Entry key={route.path} route={route} onOpen={() => setOpen(false)} />
                ))}
              {group === "Ask" && consoles ? (
                <li>
                  <a class="entry" href={consoles}>
                    <Icon name="console" />
                    Consoles
                  </a>
                </li>
              ) : null}
            </ul>
          </section>
        ))}
        <footer>
          <button
            type="button"
            class="plain"
            onClick={() => {
              theme.value = NEXT[theme.value];
            }}
            aria-label={`Theme: ${theme.value}. Change it`}
          >
            <Icon name={theme.value === "dark" ? "moon" : theme.value === "light" ? "sun" : "system"} />
            {theme.value}
          </button>
          <button
            type="button"
            class="plain"
            onClick={() => {
              localTime.value = !localTime.value;
            }}
            aria-label={`Times: ${localTime.value ? "local" : "UTC"}. Change it`}
          >
            <Icon name="clock" />
            {localTime.value ? "local" : "UTC"}
          </button>
          <span class="muted version">{version}</span>
        </footer>
      </nav>
    </header>
  );
}
