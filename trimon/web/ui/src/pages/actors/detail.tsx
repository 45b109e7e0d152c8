import { useAsked } from "../../api/asked";
import { askText } from "../../api/client";
import { Facts } from "../../components/layout/page";
import { Scrolled } from "../../components/layout/scrolled";
import { Failure, Loading } from "../../components/states";
import { Time } from "../../components/time";
import { shownField } from "./fields";

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

function fact(name: string, value: unknown) {
  const field = shownField(name, value);
  const shown = field.timeMs === undefined ? <code>{field.text}</code> : <Time timeMs={field.timeMs} />;
  return [field.name, shown] as const;
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
            ...Object.entries(node.fields).map(([name, value]) => fact(name, value)),
            ["restarts when it ends", node.restart],
          ]}
        />
      </section>
      {mailbox.length ? (
        <section>
          <h3>Mailbox</h3>
          <Facts facts={mailbox.map(([name, value]) => fact(name, value))} />
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
