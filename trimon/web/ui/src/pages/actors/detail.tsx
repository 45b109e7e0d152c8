import { useAsked } from "../../api/asked";
import { askText } from "../../api/client";
import { Facts } from "../../components/page";
import { Scrolled } from "../../components/scrolled";
import { Failure, Loading } from "../../components/states";
import { Time } from "../../components/time";

interface Node {
  fields: Record<string, unknown>;
  mailbox: Record<string, string | number | boolean | null> | null;
  last_crash: { at_s: number; error: string; attempt: number; in_hand: string } | null;
  restart: string;
  attempt: number;
}

interface Crash {
  path: string;
  attempt: number;
  error: string;
  traceback: string;
  uptime_s: number;
  at_s: number;
}

const EVERY_MS = 2000;

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 1);
}

function spaced(name: string): string {
  return name.replaceAll("_", " ");
}

/** What an actor says of itself, its mailbox, and its crashes with their places in the code. */
export function ActorDetail({ path }: { path: string }) {
  const asked = useAsked(
    async (signal) => {
      const where = path.split("/").map(encodeURIComponent).join("/");
      const [node, crashes] = await Promise.all([
        askText(`/debug/actors/${where}`, {}, { signal }),
        askText("/debug/crashes", {}, { signal }),
      ]);
      const reports = (JSON.parse(crashes) as Crash[]).filter((crash) => crash.path === path);
      return { node: JSON.parse(node) as Node, reports };
    },
    [path],
    EVERY_MS,
  );
  if (!asked.data)
    return asked.error === undefined ? <Loading /> : <Failure error={asked.error} again={asked.again} />;
  const { node, reports } = asked.data;
  const mailbox = Object.entries(node.mailbox ?? {});
  return (
    <div class="columns">
      <section>
        <h3>Own fields</h3>
        <Facts
          facts={[
            ...Object.entries(node.fields).map(
              ([name, value]) => [spaced(name), <code key={name}>{shown(value)}</code>] as const,
            ),
            ["restarts when it ends", node.restart],
          ]}
        />
      </section>
      {mailbox.length ? (
        <section>
          <h3>Mailbox</h3>
          <Facts facts={mailbox.map(([name, value]) => [spaced(name), String(value)] as const)} />
        </section>
      ) : null}
      {reports.map((crash) => (
        <section key={crash.at_s} class="crash">
          <h3>
            Crash of attempt {crash.attempt}, <Time timeMs={crash.at_s * 1000} />
          </h3>
          <p class="bad-text">{crash.error}</p>
          <Scrolled label="Traceback" kind="code-box">
            <pre>{crash.traceback}</pre>
          </Scrolled>
        </section>
      ))}
    </div>
  );
}
