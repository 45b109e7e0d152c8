import { Redirect, Route, Router, Switch } from "wouter-preact";
import { prefix } from "../state/server";
import { ErrorBoundary } from "./boundary";
import { Navigation } from "./navigation";
import { NotFoundPage } from "./notfound";
import { Notices } from "./notices";
import { PageView } from "./pageview";
import { routes } from "./routes";

/** The whole page: navigation, what everybody must know, and the page of the path. */
export function App() {
  return (
    <Router base={prefix}>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <div class="shell">
        <Navigation />
        <main id="main" tabIndex={-1}>
          <Notices />
          <Switch>
            {routes.map((route) => (
              <Route key={route.path} path={route.path}>
                <ErrorBoundary key={route.path}>
                  <PageView route={route} />
                </ErrorBoundary>
              </Route>
            ))}
            <Route path="/">
              <Redirect to="/query" />
            </Route>
            <Route>
              <NotFoundPage />
            </Route>
          </Switch>
        </main>
      </div>
    </Router>
  );
}
