import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { comebacks } from "../state/comeback";

export interface Asked<T> {
  /** The last good answer, also while the next one is waited for or has failed. */
  data: T | undefined;
  error: unknown;
  loading: boolean;
  /** When the last good answer came, in ms since 1970; 0 for none. */
  at: number;
  again: () => void;
}

/**
 * Asks when a page appears, when `inputs` change, and every `everyMs` while the page can be seen.
 * An older answer never replaces a newer one; what is asked is ended when the page goes. When the server becomes able to
 * answer again, everything is asked once more.
 */
export function useAsked<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  inputs: readonly unknown[],
  everyMs = 0,
): Asked<T> {
  const [state, setState] = useState<Omit<Asked<T>, "again">>({
    data: undefined,
    error: undefined,
    loading: true,
    at: 0,
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;
  // The inputs are the caller's.
  useEffect(() => {
    const ending = new AbortController();
    setState((before) => ({ ...before, loading: true }));
    latest.current(ending.signal).then(
      (data) => {
        if (!ending.signal.aborted) setState({ data, error: undefined, loading: false, at: Date.now() });
      },
      (error: unknown) => {
        if (!ending.signal.aborted) setState((before) => ({ ...before, error, loading: false }));
      },
    );
    return () => ending.abort();
  }, [...inputs, turn, comebacks.value]);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  useEffect(() => {
    if (!everyMs) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) again();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, again]);
  return { ...state, again };
}
