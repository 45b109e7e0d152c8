import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Facts, Page, Panel } from "../../components/page";
import { Loaded } from "../../components/states";
import { Time } from "../../components/time";
import { parseApiTime } from "../../values/times";

type Texts = Record<string, string | number | boolean>;

/** A fact's name for people: "goroutineCount" is "goroutine count". */
function spaced(name: string): string {
  return name.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
}

function shown(name: string, value: string | number | boolean) {
  if (/time$/i.test(name) && typeof value === "string" && parseApiTime(value))
    return <Time timeMs={parseApiTime(value)} />;
  return String(value === "" ? "–" : value);
}

function FactList({ path }: { path: string }) {
  const asked = useAsked((signal) => ask<Texts>(path, {}, { signal }), [path]);
  return (
    <Loaded asked={asked}>
      {(answer) => (
        <Facts
          facts={Object.entries(answer.data).map(
            ([name, value]) => [spaced(name), shown(name, value)] as const,
          )}
        />
      )}
    </Loaded>
  );
}

/** How the server runs, and what it is. */
export default function RuntimePage() {
  return (
    <Page title="Status" about="Since when and how this server runs, and what it is.">
      <div class="columns">
        <Panel title="Runtime">
          <FactList path="/status/runtimeinfo" />
        </Panel>
        <Panel title="Build">
          <FactList path="/status/buildinfo" />
        </Panel>
      </div>
    </Page>
  );
}
