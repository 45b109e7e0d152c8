import { useEffect, useState } from "preact/hooks";
import { localTime } from "../state/preferences";
import { humanDuration } from "../values/time/durations";
import { formatTime } from "../values/time/times";

/** A moment, in the zone that was chosen. */
export function Time({ timeMs }: { timeMs: number }) {
  if (!timeMs) return <span class="muted">never</span>;
  const zone = localTime.value ? "local time" : "UTC";
  return (
    <time dateTime={new Date(timeMs).toISOString()} title={`${formatTime(timeMs, localTime.value)} ${zone}`}>
      {formatTime(timeMs - (timeMs % 1000), localTime.value)}
    </time>
  );
}

/** How long ago a moment was, kept true while it is looked at. */
export function Ago({ timeMs, everyMs = 1000 }: { timeMs: number; everyMs?: number }) {
  const [nowMs, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  if (!timeMs) return <span class="muted">never</span>;
  const agoMs = Math.max(0, Math.max(nowMs, Date.now()) - timeMs);
  const shown = agoMs < 1000 ? "now" : `${humanDuration(agoMs - (agoMs % 1000))} ago`;
  return (
    <time dateTime={new Date(timeMs).toISOString()} title={formatTime(timeMs, localTime.value)}>
      {shown}
    </time>
  );
}
