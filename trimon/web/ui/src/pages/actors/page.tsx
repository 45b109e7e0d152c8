import { useState } from "preact/hooks";
import { Badge } from "../../components/badge";
import { Icon } from "../../components/icon";
import { SearchPage, useSearch } from "../../components/layout/searchpage";
import { Empty, Failure, Loading } from "../../components/states";
import { useUrlState } from "../../state/urlstate";
import { count } from "../../values/numbers";
import { found } from "../../values/search";
import { humanDuration } from "../../values/time/durations";
import { type ActorTree, isUnhealthy, type Jam, jams, lines, states, toneOf } from "./model";
import { useActors } from "./stream";
import { ActorLines } from "./tree";
import "../../styles/actors.css";

const JAMS_SHOWN = 5;

function Blame({ found }: { found: readonly Jam[] }) {
  const [first] = found;
  if (!first) return null;
  return (
    <div class="notice bad" role="alert">
      <div>
        <strong>{first.actor.path}</strong> holds others up: {first.why}
        {first.actor.inHandS
          ? `, ${first.actor.inHand || "a message"} in hand for ${humanDuration(first.actor.inHandS * 1000)}`
          : ""}
        .
        {found.length > 1 ? (
          <ul>
            {found.slice(1, JAMS_SHOWN).map((jam) => (
              <li key={jam.actor.path}>
                {jam.actor.path}: {jam.why}
              </li>
            ))}
            {found.length > JAMS_SHOWN ? <li>and {count(found.length - JAMS_SHOWN)} more</li> : null}
          </ul>
        ) : null}
      </div>
    </div>
  );
}

function Summary({ tree, isLive, silentMs }: { tree: ActorTree; isLive: boolean; silentMs: number }) {
  return (
    <p class="row summary">
      <span>{count(tree.actors.size)} actors</span>
      {states(tree).map(([state, number]) => (
        <Badge key={state} tone={toneOf(state)}>
          {count(number)} {state}
        </Badge>
      ))}
      <span class={isLive ? "live on" : "live"} role="status">
        {isLive
          ? "live"
          : silentMs
            ? `no news for ${humanDuration(Math.round(silentMs / 1000) * 1000)}`
            : "not live"}
      </span>
    </p>
  );
}

/** The supervision tree, as it is now: who does what, and who holds whom up. */
export default function ActorsPage() {
  const [search] = useSearch();
  const [only, setOnly] = useUrlState("show");
  const [isPaused, setPaused] = useState(false);
  const [turned, setTurned] = useState<ReadonlySet<string>>(new Set());
  const { tree, isLive, silentMs, error } = useActors(isPaused);
  const isFiltered = search.trim() !== "" || only === "unwell";
  const fitting = isFiltered
    ? new Set(
        found([...tree.actors.values()], search, (actor) => `${actor.path} ${actor.kind} ${actor.state}`),
      )
    : undefined;
  const shown = lines(
    tree,
    turned,
    isFiltered
      ? (actor) => fitting?.has(actor) === true && (only !== "unwell" || isUnhealthy(actor))
      : undefined,
  );
  const fold = (path: string) => {
    const next = new Set(turned);
    if (!next.delete(path)) next.add(path);
    setTurned(next);
  };
  return (
    <SearchPage
      title="Actors"
      about="Every part of the server that runs by itself: its state, its mailbox, and what it has in hand."
      label="Search actors"
      actions={
        <>
          <label class="check">
            <input
              type="checkbox"
              checked={only === "unwell"}
              onChange={(event) => setOnly(event.currentTarget.checked ? "unwell" : "")}
            />
            Not well
          </label>
          <button type="button" onClick={() => setPaused(!isPaused)}>
            <Icon name={isPaused ? "play" : "stop"} />
            {isPaused ? "Go on" : "Hold still"}
          </button>
        </>
      }
    >
      {error !== undefined ? <Failure error={error} /> : null}
      {tree.actors.size ? (
        <>
          <Summary tree={tree} isLive={isLive} silentMs={silentMs} />
          <Blame found={jams(tree)} />
          {shown.length ? (
            <ActorLines lines={shown} nowS={tree.nowS} onFold={fold} />
          ) : (
            <Empty title="No actor fits">
              {only === "unwell" && !search ? "All actors are well." : "Empty the search to see all."}
            </Empty>
          )}
        </>
      ) : error === undefined ? (
        <Loading />
      ) : null}
    </SearchPage>
  );
}
