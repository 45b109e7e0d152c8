import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { ask, RequestError } from "../../api/client";
import { prefix } from "../../app/server";
import { type ActorEvent, ActorTree } from "./model";

const AGAIN_MS = 2000;

export interface Watched {
  tree: ActorTree;
  isLive: boolean;
  error: unknown;
}

/** The tree of actors as the server tells of it; a cut stream is opened again, and everything is told anew then. */
export function useActors(isPaused: boolean): Watched {
  const tree = useRef(new ActorTree());
  const [isLive, setLive] = useState(false);
  const [error, setError] = useState<unknown>();
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  useEffect(() => {
    if (isPaused) return undefined;
    let source: EventSource | undefined;
    let timer = 0;
    let isFirst = true;
    const open = () => {
      source = new EventSource(`${prefix}/api/v1/trimon/actors/live`);
      isFirst = true;
      source.onmessage = (message: MessageEvent<string>) => {
        if (isFirst) tree.current = new ActorTree();
        isFirst = false;
        tree.current.apply(JSON.parse(message.data) as ActorEvent);
        setLive(true);
        setError(undefined);
        redraw(undefined);
      };
      source.onerror = () => {
        source?.close();
        setLive(false);
        // A stream does not say why it failed. The list says it, and is all there is while too many others watch.
        ask<ActorEvent>("/trimon/actors").then(
          (answer) => {
            const whole = new ActorTree();
            whole.apply(answer.data);
            tree.current = whole;
            setError(undefined);
            redraw(undefined);
          },
          (reason: unknown) => {
            if (reason instanceof RequestError) setError(reason);
          },
        );
        timer = window.setTimeout(open, AGAIN_MS);
      };
    };
    open();
    return () => {
      window.clearTimeout(timer);
      source?.close();
      setLive(false);
    };
  }, [isPaused]);
  return { tree: tree.current, isLive, error };
}
