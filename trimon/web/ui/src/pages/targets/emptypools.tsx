import { Link } from "wouter-preact";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Loaded } from "../../components/states";
import { count } from "../../values/numbers";
import { own } from "../../values/own";
import { PoolDetails } from "./poolconfig";

const EVERY_MS = 10_000;
const SHOWN = 100;

function Why({ pool, dropped }: { pool: string; dropped: number }) {
  if (!dropped) {
    return (
      <>
        discovery has found nothing: <Link href="/service-discovery?tab=providers">how its providers do</Link>
      </>
    );
  }
  const where = new URLSearchParams({ state: "dropped", pool });
  return (
    <>
      {dropped === 1 ? "the only target is" : `all ${count(dropped)} targets are`} dropped by relabeling:{" "}
      <Link href={`/service-discovery?${where}`}>which rule does it</Link>
    </>
  );
}

/** Pools that nothing is scraped of, and why. */
export function EmptyPools({ pools, isOpen = false }: { pools: readonly string[]; isOpen?: boolean }) {
  const asked = useAsked(
    (signal) =>
      ask<{ droppedTargetCounts: Record<string, number> }>("/targets", { state: "dropped" }, { signal }),
    [],
    EVERY_MS,
  );
  return (
    <details class="panel empty-pools" open={isOpen}>
      <summary>
        {pools.length === 1 ? `Pool ${pools[0]} has` : `${count(pools.length)} pools have`} no targets
      </summary>
      <Loaded asked={asked}>
        {(answer) => (
          <ul>
            {pools.slice(0, SHOWN).map((pool) => (
              <li key={pool}>
                <strong>{pool}</strong>:{" "}
                <Why pool={pool} dropped={own(answer.data.droppedTargetCounts, pool) ?? 0} />
                <PoolDetails pool={pool} />
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      {pools.length > SHOWN ? <p class="muted">and {count(pools.length - SHOWN)} more</p> : null}
    </details>
  );
}
