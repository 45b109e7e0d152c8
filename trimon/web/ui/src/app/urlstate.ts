import { useCallback } from "preact/hooks";
import { useSearchParams } from "wouter-preact";

/** A choice that stands in the URL, so that it can be sent to others; the default stands nowhere. */
export function useUrlState(name: string, initial = ""): [string, (value: string) => void] {
  const [parameters, setParameters] = useSearchParams();
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
  const [parameters, setParameters] = useSearchParams();
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
