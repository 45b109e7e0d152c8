import { useEffect, useRef } from "preact/hooks";
import { Link } from "wouter-preact";
import { type Asked, useAsked } from "../api/asked";
import { type Answer, ask } from "../api/client";
import { comebacks, unreachable } from "../state/comeback";
import { may } from "../state/server";
import { humanDuration } from "../values/time/durations";
import { type Problem, reloadError } from "./reloaderror";
import { ReplayProgress, starting } from "./starting";

interface Notification {
  text: string;
  date: string;
  active: boolean;
}

interface Security {
  open_without_authentication: boolean;
  addresses: string[];
}

const EVERY_MS = 5000;
const STARTING_EVERY_MS = 1000;
const CLOCK_OFF_S = 30;

/** Tells all that asks when the server answers again, or is done with its start. */
function useComebacks(notifications: Asked<Answer<Notification[]>>): void {
  const wasAway = useRef(false);
  const known = notifications.data?.data;
  const isStarting = known?.some((each) => each.active && each.text.includes("write-ahead log"));
  const isAway = notifications.error !== undefined || (isStarting ?? starting.value);
  useEffect(() => {
    if (isStarting !== undefined) starting.value = isStarting;
    if (wasAway.current && !isAway && known) comebacks.value += 1;
    wasAway.current = isAway;
  }, [isStarting, isAway, known]);
}

/** Why the last reload failed, for those who may see the log, and where all of it stands. */
function ReloadFailure() {
  const asked = useAsked((signal) => ask<Problem[]>("/trimon/problems", {}, { signal }), [], EVERY_MS);
  const reason = reloadError(asked.data?.data ?? []);
  return (
    <span>
      {reason ? <strong>{reason}</strong> : null}{" "}
      <Link href="/problems">{reason ? "All problems" : "Why: see Problems"}</Link>
    </span>
  );
}

/** What everybody who opens any page must know: that the server is open to all, and what it has to tell. */
export function Notices() {
  const security = useAsked((signal) => ask<Security>("/trimon/security", {}, { signal }), []);
  const notifications = useAsked(
    (signal) => ask<Notification[]>("/notifications", {}, { signal }),
    [],
    starting.value ? STARTING_EVERY_MS : EVERY_MS,
  );
  const clock = useAsked(async (signal) => {
    const answer = await ask<{ serverTime: string }>("/status/runtimeinfo", {}, { signal });
    return (Date.now() - Date.parse(answer.data.serverTime)) / 1000;
  }, []);
  useComebacks(notifications);
  const isLost = unreachable.value;
  // What the server told before it went away may hold no longer.
  const told = isLost ? [] : (notifications.data?.data ?? []).filter((each) => each.active);
  const isOpen = security.data?.data.open_without_authentication ?? false;
  const offS = Math.abs(clock.data ?? 0) > CLOCK_OFF_S ? (clock.data ?? 0) : 0;
  const isFailedReload = (each: Notification) => each.text.includes("reload has failed");
  if (!isOpen && !told.length && !offS && !isLost) return null;
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
      {isLost ? (
        <p class="notice bad" role="alert">
          The server does not answer: what is shown is from before. It is asked again every few seconds.
        </p>
      ) : null}
      {told.map((each) => (
        <p class="notice warn" role="status" key={each.text}>
          {each.text} {each.text.includes("write-ahead log") ? <ReplayProgress /> : null}
          {isFailedReload(each) && may("debug") ? <ReloadFailure /> : null}
        </p>
      ))}
    </div>
  );
}
