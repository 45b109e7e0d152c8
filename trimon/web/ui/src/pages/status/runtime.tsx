import type { ComponentChildren } from "preact";
import { useAsked } from "../../api/asked";
import { ask, askText } from "../../api/client";
import { Badge } from "../../components/badge";
import { Bars } from "../../components/bars";
import { Facts, Page, Panel } from "../../components/layout/page";
import { Loaded } from "../../components/states";
import { Time } from "../../components/time";
import { version } from "../../state/server";
import { bytes, count } from "../../values/numbers";
import { parseApiTime } from "../../values/time/times";

type Texts = Record<string, string | number | boolean>;

interface Memory {
  limit: { bytes: number; source: string };
  budget_bytes: number;
  owners: Record<string, number>;
  kernel: { counted_bytes: number };
  pressure: string;
  series: { room: number; max: number; refused: number };
}

interface Notification {
  text: string;
  date: string;
  active: boolean;
}

const EVERY_MS = 10_000;
// What Go's runtime has and this server has not, beside names for people of the rest.
const NAMES: Record<string, string> = {
  startTime: "running since",
  CWD: "working directory",
  hostname: "host name",
  serverTime: "time of the server",
  reloadConfigSuccess: "last reload of the configuration",
  lastConfigTime: "configuration of",
  corruptionCount: "damaged records of the log",
  goroutineCount: "tasks",
  GOMAXPROCS: "cores",
  storageRetention: "kept for",
  version: "speaks as",
};
const LEFT_OUT = new Set(["GOMEMLIMIT", "GOGC", "GODEBUG", "goVersion"]);

/** A fact's name for people: "buildDate" is "build date". */
function spaced(name: string): string {
  return (
    NAMES[name] ?? name.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`)
  );
}

function shown(name: string, value: string | number | boolean): ComponentChildren {
  if (name === "reloadConfigSuccess")
    return value ? <Badge tone="good">went well</Badge> : <Badge tone="bad">failed</Badge>;
  if (name === "version") return `Prometheus ${value}`;
  if (/time$/i.test(name) && typeof value === "string" && parseApiTime(value))
    return <Time timeMs={parseApiTime(value)} />;
  return typeof value === "number" ? count(value) : String(value === "" ? "–" : value);
}

function FactList({
  path,
  everyMs = 0,
  first = [],
}: {
  path: string;
  everyMs?: number;
  /** What stands above all that the server tells. */
  first?: readonly (readonly [string, string])[];
}) {
  const asked = useAsked((signal) => ask<Texts>(path, {}, { signal }), [path], everyMs);
  return (
    <Loaded asked={asked}>
      {(answer) => (
        <Facts
          facts={[
            ...first,
            ...Object.entries(answer.data)
              .filter(([name]) => !LEFT_OUT.has(name))
              .map(([name, value]) => [spaced(name), shown(name, value)] as const),
          ]}
        />
      )}
    </Loaded>
  );
}

function MemoryPanel() {
  const asked = useAsked(
    async (signal) => JSON.parse(await askText("/debug/memory", {}, { signal })) as Memory,
    [],
    EVERY_MS,
  );
  return (
    <Loaded asked={asked}>
      {(memory) => (
        <>
          <Facts
            facts={[
              [
                "in use",
                `${bytes(memory.kernel.counted_bytes)} of ${bytes(memory.limit.bytes)} (${memory.limit.source})`,
              ],
              [
                "pressure",
                <Badge key="p" tone={memory.pressure === "none" ? "good" : "bad"}>
                  {memory.pressure}
                </Badge>,
              ],
              ["room for new series", count(memory.series.room)],
              ["series refused", count(memory.series.refused)],
            ]}
          />
          <h3 class="gap">Who holds it</h3>
          <Bars
            label="Memory by owner"
            bars={Object.entries(memory.owners)
              .sort((a, b) => b[1] - a[1])
              .map(([name, value]) => ({
                key: name,
                name: name.replaceAll("_", " "),
                value,
                shown: bytes(value),
              }))}
          />
        </>
      )}
    </Loaded>
  );
}

function FeaturesPanel() {
  const asked = useAsked(
    (signal) => ask<Record<string, Record<string, boolean>>>("/features", {}, { signal }),
    [],
  );
  return (
    <Loaded asked={asked}>
      {(answer) => (
        <div class="features">
          {Object.entries(answer.data).map(([group, features]) => {
            const names = Object.entries(features);
            const on = names.filter(([, isOn]) => isOn).length;
            return (
              <details key={group}>
                <summary>
                  {group.replaceAll("_", " ")} <span class="muted">{`${on} of ${names.length} on`}</span>
                </summary>
                <p class="row">
                  {names.map(([name, isOn]) => (
                    <Badge key={name} tone={isOn ? "good" : "none"} title={isOn ? "on" : "off"}>
                      {isOn ? name : `${name}: off`}
                    </Badge>
                  ))}
                </p>
              </details>
            );
          })}
        </div>
      )}
    </Loaded>
  );
}

function NotificationsPanel() {
  const asked = useAsked((signal) => ask<Notification[]>("/notifications", {}, { signal }), [], EVERY_MS);
  return (
    <Loaded asked={asked}>
      {(answer) =>
        answer.data.length ? (
          <Facts
            facts={answer.data.map(
              (each) => [each.text, <Time key={each.text} timeMs={parseApiTime(each.date)} />] as const,
            )}
          />
        ) : (
          <p class="muted">The server has nothing to tell.</p>
        )
      }
    </Loaded>
  );
}

/** How the server runs, what it is, what it can do, and who holds its memory. */
export default function RuntimePage() {
  return (
    <Page title="Status" about="Since when and how this server runs, what it is, and who holds its memory.">
      <div class="columns">
        <Panel title="Runtime">
          <FactList path="/status/runtimeinfo" everyMs={EVERY_MS} />
        </Panel>
        <Panel title="Memory">
          <MemoryPanel />
        </Panel>
        <Panel title="Build">
          <FactList path="/status/buildinfo" first={[["trimon", version]]} />
        </Panel>
        <Panel title="Notifications">
          <NotificationsPanel />
        </Panel>
      </div>
      <Panel title="Features">
        <FeaturesPanel />
      </Panel>
    </Page>
  );
}
