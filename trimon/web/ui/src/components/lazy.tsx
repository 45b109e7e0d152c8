import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { comebacks } from "../state/comeback";
import { Loading } from "./states";

/** Code could not be fetched. */
export function NotLoaded() {
  return (
    <div class="notice bad" role="alert">
      <strong>This could not be loaded.</strong> The server cannot be reached, or was updated meanwhile.
      <button type="button" onClick={() => window.location.reload()}>
        Load it again
      </button>
    </div>
  );
}

/** A component whose code is fetched when it is first shown. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(properties: P) {
    const [, redraw] = useState(0);
    const [isFailed, setFailed] = useState(false);
    // What could not be fetched is fetched again when the server is back.
    useEffect(() => {
      if (loaded) return;
      load().then(
        (found) => {
          loaded = found;
          setFailed(false);
          redraw((turn) => turn + 1);
        },
        () => setFailed(true),
      );
    }, [comebacks.value]);
    if (loaded) {
      const Found = loaded;
      return <Found {...properties} />;
    }
    return isFailed ? <NotLoaded /> : <Loading />;
  };
}
