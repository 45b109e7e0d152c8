import { useCallback, useMemo, useRef } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { useSearch as useRawSearch } from "wouter-preact/use-browser-location";

export type Change = (before: URLSearchParams) => URLSearchParams;
export type SetParameters = (change: Change, options?: { replace?: boolean }) => void;

/**
 * The parameters of the URL as they were written, decoded once: the router's own hook decodes them twice, and `%2560` is
 * another question than `%60`. Several changes before the next drawing build on one another.
 */
export function useParameters(): [URLSearchParams, SetParameters] {
  const [path, navigate] = useLocation();
  const raw = useRawSearch();
  const parameters = useMemo(() => new URLSearchParams(raw), [raw]);
  const latest = useRef(parameters);
  latest.current = parameters;
  const change = useCallback<SetParameters>(
    (make, options) => {
      latest.current = make(new URLSearchParams(latest.current));
      const shown = latest.current.toString();
      navigate(shown ? `${path}?${shown}` : path, options);
    },
    [path, navigate],
  );
  return [parameters, change];
}

/** A choice that stands in the URL, so that it can be sent to others; the default stands nowhere. */
export function useUrlState(name: string, initial = ""): [string, (value: string) => void] {
  const [parameters, setParameters] = useParameters();
  const change = useCallback(
    (value: string) =>
      setParameters(
        (before) => {
          const next = new URLSearchParams(before);
          if (value === initial) next.delete(name);
          else next.set(name, value);
          return next;
        },
        { replace: true },
      ),
    [setParameters, name, initial],
  );
  return [parameters.get(name) ?? initial, change];
}

/** The same for a set of names, which stand one by one. */
export function useUrlSet(name: string): [ReadonlySet<string>, (value: ReadonlySet<string>) => void] {
  const [parameters, setParameters] = useParameters();
  const change = useCallback(
    (value: ReadonlySet<string>) =>
      setParameters(
        (before) => {
          const next = new URLSearchParams(before);
          next.delete(name);
          for (const each of value) next.append(name, each);
          return next;
        },
        { replace: true },
      ),
    [setParameters, name],
  );
  return [new Set(parameters.getAll(name)), change];
}
