import { prefix } from "../state/server";

/** What happens on a stream, told in this order by whichever tab holds it. */
export type StreamNews =
  /** The first event of a connection tells everything, each other one what is different since. */
  | { kind: "event"; text: string; isFirst: boolean }
  /** The stream is cut, or may not be opened; it is tried again by itself. */
  | { kind: "cut" };

export interface Follower {
  onNews: (news: StreamNews) => void;
  /** Another tab holds the stream already: what it told before is to be asked for. */
  onJoined: () => void;
  /** There is no way to share: it is to be asked, again and again. */
  onAsk: () => void;
}

const AGAIN_MS = 2000;
const JOINED_AFTER_MS = 150;

/** Whether tabs can share; pages without TLS that are not of this machine cannot. */
function canShare(): boolean {
  return "locks" in navigator && "BroadcastChannel" in window;
}

/**
 * Follows a stream of the server with one connection for all tabs of a browser, since a browser has six to a server and
 * a stream holds one. The tab that has the lock holds the stream and tells the others; the next one takes over when it is
 * closed or hidden. A hidden tab follows nothing. What comes back ends it.
 */
export function followStream(path: string, follower: Follower): () => void {
  let end: (() => void) | undefined;
  const turn = () => {
    end?.();
    end = document.hidden ? undefined : canShare() ? share(path, follower) : askAgain(follower);
  };
  turn();
  document.addEventListener("visibilitychange", turn);
  return () => {
    document.removeEventListener("visibilitychange", turn);
    end?.();
  };
}

function askAgain(follower: Follower): () => void {
  follower.onAsk();
  const timer = window.setInterval(follower.onAsk, AGAIN_MS);
  return () => window.clearInterval(timer);
}

function share(path: string, follower: Follower): () => void {
  const name = `trimon ${prefix}${path}`;
  const channel = new BroadcastChannel(name);
  const ending = new AbortController();
  let isLeader = false;
  channel.onmessage = (message: MessageEvent<StreamNews>) => {
    if (!isLeader) follower.onNews(message.data);
  };
  const lead = () =>
    new Promise<void>((release) => {
      if (ending.signal.aborted) {
        release();
        return;
      }
      isLeader = true;
      const close = hold(path, (news) => {
        follower.onNews(news);
        channel.postMessage(news);
      });
      ending.signal.addEventListener("abort", () => {
        close();
        release();
      });
    });
  navigator.locks.request(name, { signal: ending.signal }, lead).catch((error: unknown) => {
    // A tab that goes while it waits has its wish ended.
    if (!ending.signal.aborted) throw error;
  });
  const joining = window.setTimeout(() => {
    if (!isLeader) follower.onJoined();
  }, JOINED_AFTER_MS);
  return () => {
    window.clearTimeout(joining);
    ending.abort();
    channel.close();
  };
}

/** Holds a stream open; a cut one is opened again. */
function hold(path: string, tell: (news: StreamNews) => void): () => void {
  let source: EventSource | undefined;
  let timer = 0;
  const open = () => {
    let isFirst = true;
    source = new EventSource(`${prefix}${path}`);
    source.onmessage = (message: MessageEvent<string>) => {
      tell({ kind: "event", text: message.data, isFirst });
      isFirst = false;
    };
    source.onerror = () => {
      source?.close();
      tell({ kind: "cut" });
      timer = window.setTimeout(open, AGAIN_MS);
    };
  };
  open();
  return () => {
    window.clearTimeout(timer);
    source?.close();
  };
}
