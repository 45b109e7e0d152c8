import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { useAsked } from "../api/asked";
import { ask } from "../api/client";
import { Page } from "../components/layout/page";
import { startsNow } from "../state/server";
import { count } from "../values/numbers";
import { humanDuration } from "../values/time/durations";

const EVERY_MS = 500;

/** Whether the server still reads its log, so that no sample can be asked for. */
export const starting = signal(startsNow);

interface ReplayState {
  min: number;
  max: number;
  current: number;
}

interface Seen {
  atMs: number;
  done: number;
}

/** How long the rest takes, by how long it took since it was first seen; undefined while nothing can be said. */
export function timeLeftMs(first: Seen, now: Seen, whole: number): number | undefined {
  const done = now.done - first.done;
  if (done <= 0) return undefined;
  return ((now.atMs - first.atMs) / done) * (whole - now.done);
}

/** How far the log has been read. */
export function ReplayProgress({ isLarge = false }: { isLarge?: boolean }) {
  const asked = useAsked((signal) => ask<ReplayState>("/status/walreplay", {}, { signal }), [], EVERY_MS);
  const first = useRef<Seen>();
  const state = asked.data?.data;
  if (!state) return null;
  const now = { atMs: asked.at, done: state.current - state.min };
  first.current ??= now;
  const whole = Math.max(1, state.max - state.min + 1);
  const leftMs = timeLeftMs(first.current, now, whole);
  return (
    <span class={isLarge ? "replay large" : "replay"}>
      <progress max={whole} value={now.done} aria-label="Replay of the log" />
      <span>
        segment {count(state.current + 1)} of {count(state.max + 1)}
        {leftMs === undefined
          ? ""
          : `, about ${humanDuration(Math.max(1000, Math.round(leftMs / 1000) * 1000))} left`}
      </span>
    </span>
  );
}

/** In place of a page that shows samples, until there are some: it then opens by itself. */
export function StartingPage({ title }: { title: string }) {
  return (
    <Page title={title}>
      <section class="panel starting" role="status">
        <h2>The server is starting</h2>
        <p>
          It reads its log, so that nothing is lost that was stored before. This page opens by itself when
          that is done; configuration, flags, actors and problems can be seen already.
        </p>
        <ReplayProgress isLarge />
      </section>
    </Page>
  );
}
