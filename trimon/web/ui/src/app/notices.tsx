import { useAsked } from "../api/asked";
import { ask } from "../api/client";
import { humanDuration } from "../values/durations";

interface Notification {
  text: string;
  date: string;
  active: boolean;
}

interface Security {
  open_without_authentication: boolean;
  addresses: string[];
}

const EVERY_MS = 15_000;
const CLOCK_OFF_S = 30;

/** What everybody who opens any page must know: that the server is open to all, and what it has to tell. */
export function Notices() {
  const security = useAsked((signal) => ask<Security>("/trimon/security", {}, { signal }), []);
  const notifications = useAsked(
    (signal) => ask<Notification[]>("/notifications", {}, { signal }),
    [],
    EVERY_MS,
  );
  const clock = useAsked(async (signal) => {
    const answer = await ask<{ result: [number, string] }>(
      "/query",
      { query: "time()" },
      { signal, post: true },
    );
    return Date.now() / 1000 - Number(answer.data.result[1]);
  }, []);
  const told = (notifications.data?.data ?? []).filter((each) => each.active);
  const isOpen = security.data?.data.open_without_authentication ?? false;
  const offS = Math.abs(clock.data ?? 0) > CLOCK_OFF_S ? (clock.data ?? 0) : 0;
  if (!isOpen && !told.length && !offS) return null;
  return (
    <div class="notices">
      {isOpen ? (
        <p class="notice warn" role="alert">
          <strong>Whoever reaches this server may read and query it:</strong> it listens on{" "}
          {security.data?.data.addresses.join(", ") || "more than loopback"} and asks nobody who they are. A
          file for <code>--web.config.file</code> has users and tokens.
        </p>
      ) : null}
      {offS ? (
        <p class="notice warn" role="status">
          This machine's clock is {humanDuration(Math.abs(offS) * 1000)} {offS > 0 ? "ahead of" : "behind"}{" "}
          the server's: what you ask for now is not the server's now.
        </p>
      ) : null}
      {told.map((each) => (
        <p class="notice warn" role="status" key={each.text}>
          {each.text}
        </p>
      ))}
    </div>
  );
}
