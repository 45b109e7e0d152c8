import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

const NARROW = "(max-width: 700px)";

/** Whether the window is as narrow as that of a phone. */
export function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(() => window.matchMedia(NARROW).matches);
  useEffect(() => {
    const query = window.matchMedia(NARROW);
    const change = () => setNarrow(query.matches);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, []);
  return isNarrow;
}

/** What stands in the open where there is room, and behind its title where there is little. */
export function Folded({
  title,
  isAlways = false,
  children,
}: {
  title: string;
  /** Whether it is little enough to stand in the open always. */
  isAlways?: boolean;
  children: ComponentChildren;
}) {
  const isNarrow = useNarrow();
  if (!isNarrow || isAlways) return <>{children}</>;
  return (
    <details class="folded">
      <summary>{title}</summary>
      <div class="row">{children}</div>
    </details>
  );
}
