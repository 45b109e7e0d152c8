import { useState } from "preact/hooks";
import { useAsked } from "../../api/asked";
import { ask } from "../../api/client";
import { Yaml } from "../../components/code/yaml";
import { Loaded } from "../../components/states";

function PoolConfiguration({ pool }: { pool: string }) {
  const asked = useAsked(
    (signal) => ask<{ yaml: string }>("/scrape_pools/config", { scrapePool: pool }, { signal }),
    [pool],
  );
  return (
    <Loaded asked={asked}>
      {(answer) => <Yaml text={answer.data.yaml} label={`Configuration of ${pool}`} />}
    </Loaded>
  );
}

/** The section of the configuration that a pool is made of, once it is asked for. */
export function PoolDetails({ pool }: { pool: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Configuration of {pool}</summary>
      {isOpen ? <PoolConfiguration pool={pool} /> : null}
    </details>
  );
}
