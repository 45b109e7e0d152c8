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

/**
 * A choice that stands in the URL, so that it can be sent to others; the default stands nowhere. `older` is a name that links
 * from before may have it under.
 */
export function useUrlState(name: string, initial = "", older = ""): [string, (value: string) => void] {
  const [parameters, setParameters] = useParameters();
  const change = useCallback(
    (value: string) =>
      setParameters(
        (before) => {
          const next = new URLSearchParams(before);
          if (older) next.delete(older);
          if (value === initial) next.delete(name);
          else next.set(name, value);
          return next;
        },
        { replace: true },
      ),
    [setParameters, name, initial, older],
  );
  return [parameters.get(name) ?? (older ? parameters.get(older) : null) ?? initial, change];
}

/** The same for a set of names, which stand one by one. With `isStep` a change is a step that the browser can go back. */
export function useUrlSet(
  name: string,
  { isStep = false }: { isStep?: boolean } = {},
): [ReadonlySet<string>, (value: ReadonlySet<string>) => void] {
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
        { replace: !isStep },
      ),
    [setParameters, name, isStep],
  );
  return [new Set(parameters.getAll(name)), change];
}
