import { useAsked } from "../api/asked";
import { ask } from "../api/client";

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

/** What everybody who opens any page must know: that the server is open to all, and what it has to tell. */
export function Notices() {
  const security = useAsked((signal) => ask<Security>("/trimon/security", {}, { signal }), []);
  const notifications = useAsked(
    (signal) => ask<Notification[]>("/notifications", {}, { signal }),
    [],
    EVERY_MS,
  );
  const told = (notifications.data?.data ?? []).filter((each) => each.active);
  const isOpen = security.data?.data.open_without_authentication ?? false;
  if (!isOpen && !told.length) return null;
  return (
    <div class="notices">
      {isOpen ? (
        <p class="notice warn" role="alert">
          <strong>Whoever reaches this server may read and query it:</strong> it listens on{" "}
          {security.data?.data.addresses.join(", ") || "more than loopback"} and asks nobody who they are. A
          file for <code>--web.config.file</code> has users and tokens.
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
