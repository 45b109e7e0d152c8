import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { ask, RequestError } from "../../api/client";
import { followStream, type StreamNews } from "../../api/sharedstream";
import { type ActorEvent, ActorTree } from "./model";

/** The server tells twice a second; after so long without a word it is said that there is none. */
const SILENT_MS = 3000;

export interface Watched {
  tree: ActorTree;
  isLive: boolean;
  /** How long nothing has been heard; 0 while that is no longer than usual. */
  silentMs: number;
  error: unknown;
}

/** The tree, and what came before there was one. */
class Told {
  tree = new ActorTree();
  private waiting: ActorEvent[] | undefined;

  /** A list of everything is on its way: what is told meanwhile has to wait for it. */
  waitForWhole(): void {
    this.waiting = [];
  }

  whole(event: ActorEvent): void {
    const tree = new ActorTree();
    tree.apply(event);
    for (const later of this.waiting ?? []) if (later.now_s > event.now_s) tree.apply(later);
    this.waiting = undefined;
    this.tree = tree;
  }

  event(event: ActorEvent, isFirst: boolean): void {
    if (isFirst) {
      this.waiting = undefined;
      this.tree = new ActorTree();
    }
    if (this.waiting) this.waiting.push(event);
    else this.tree.apply(event);
  }
}

/** The tree of actors as the server tells of it; after a cut everything is told anew. */
export function useActors(isPaused: boolean): Watched {
  const told = useRef(new Told());
  const [isLive, setLive] = useState(false);
  const [error, setError] = useState<unknown>();
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  const heardAt = useRef(performance.now());
  const [silentMs, setSilent] = useState(0);
  useEffect(() => {
    if (isPaused) return undefined;
    const heard = () => {
      heardAt.current = performance.now();
      setSilent(0);
      setLive(true);
      setError(undefined);
      redraw(undefined);
    };
    // A stream does not say why it failed. The list says it, and is all there is while too many others watch.
    const askWhole = (isHeard: boolean) => {
      told.current.waitForWhole();
      ask<ActorEvent>("/trimon/actors").then(
        (answer) => {
          told.current.whole(answer.data);
          setError(undefined);
          if (isHeard) heard();
          else redraw(undefined);
        },
        (reason: unknown) => {
          if (reason instanceof RequestError) setError(reason);
        },
      );
    };
    const onNews = (news: StreamNews) => {
      if (news.kind === "event") {
        told.current.event(JSON.parse(news.text) as ActorEvent, news.isFirst);
        heard();
      } else {
        setLive(false);
        askWhole(false);
      }
    };
    heardAt.current = performance.now();
    const end = followStream("/api/v1/trimon/actors/live", {
      onNews,
      onJoined: () => askWhole(true),
      onAsk: () => askWhole(true),
    });
    const watching = window.setInterval(() => {
      const silent = performance.now() - heardAt.current;
      setSilent(silent > SILENT_MS ? silent : 0);
    }, 1000);
    return () => {
      window.clearInterval(watching);
      end();
      setLive(false);
      setSilent(0);
    };
  }, [isPaused]);
  return { tree: told.current.tree, isLive: isLive && !silentMs, silentMs, error };
}
