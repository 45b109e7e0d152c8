import { useState } from "preact/hooks";
import { Badge } from "../../components/badge";
import { Icon } from "../../components/icon";
import { WindowRows } from "../../components/tables/windowrows";
import { count, short } from "../../values/numbers";
import { humanDuration } from "../../values/time/durations";
import { ActorDetail } from "./detail";
import { type Line, SLOW_S, toneOf } from "./model";

const ROW_PX = 33;

interface Properties {
  lines: readonly Line[];
  nowS: number;
  onFold: (path: string) => void;
}

function Mailbox({ line }: { line: Line }) {
  const { used, max, waiting, lost } = line.actor;
  if (!max) return null;
  const tone = waiting || used >= max ? "bad" : used > max / 2 ? "warn" : "";
  const title = `${count(used)} of ${count(max)} messages; ${count(waiting)} wait to give one; ${count(lost)} lost`;
  return (
    <span class={`mailbox ${tone}`} title={title}>
      <meter min={0} max={max} value={used} aria-label={title} />
      {count(used)}/{count(max)}
    </span>
  );
}

function Name({ line, onFold }: { line: Line; onFold: (path: string) => void }) {
  const { actor } = line;
  return (
    <span role="cell" class="cell actor-name" style={{ paddingLeft: `${Math.min(actor.depth, 6) * 1.1}rem` }}>
      {line.below ? (
        <button
          type="button"
          class="plain turn"
          aria-expanded={line.isOpen}
          aria-label={`${line.isOpen ? "Fold" : "Unfold"} ${actor.name}`}
          onClick={() => onFold(actor.path)}
        >
          <Icon name={line.isOpen ? "down" : "right"} />
        </button>
      ) : (
        <span class="no-turn" />
      )}
      <span class="name-text">{actor.name}</span>
      {line.below && !line.isOpen ? <span class="muted">{count(line.below)} below</span> : null}
      {line.unwell && !line.isOpen ? <Badge tone="bad">{count(line.unwell)} not well</Badge> : null}
    </span>
  );
}

function InHand({ line }: { line: Line }) {
  const { inHand, inHandS } = line.actor;
  if (!inHand) return null;
  const isLong = inHandS >= SLOW_S;
  return (
    <span class={isLong ? "bad-text" : ""}>
      {inHand}
      {isLong ? ` for ${humanDuration(inHandS * 1000)}` : ""}
    </span>
  );
}

function Row({
  line,
  nowS,
  isOpen,
  onOpen,
  onFold,
}: {
  line: Line;
  nowS: number;
  isOpen: boolean;
  onOpen: () => void;
  onFold: (path: string) => void;
}) {
  const { actor } = line;
  return (
    <>
      <div role="row" class="table-row actor-row">
        <Name line={line} onFold={onFold} />
        <span role="cell" class="cell" data-title="State">
          <Badge tone={toneOf(actor.state)}>{actor.state}</Badge>{" "}
          <span class="muted since">
            {humanDuration(Math.max(0, Math.floor(nowS - actor.sinceS)) * 1000)}
          </span>
        </span>
        <span role="cell" class="cell number" data-title="Restarts">
          {actor.restarts ? <Badge tone="warn">{count(actor.restarts)}</Badge> : <span class="muted">0</span>}
        </span>
        <span role="cell" class="cell" data-title="Mailbox">
          <Mailbox line={line} />
        </span>
        <span role="cell" class="cell number" data-title="Messages a second">
          {actor.max ? short(Number(actor.rate.toPrecision(3))) : ""}
        </span>
        <span role="cell" class="cell" data-title="In hand">
          <InHand line={line} />
        </span>
        <span role="cell" class="cell">
          <button
            type="button"
            class="plain turn"
            aria-expanded={isOpen}
            aria-label={`Details of ${actor.path}`}
            onClick={onOpen}
          >
            <Icon name={isOpen ? "close" : "more"} />
          </button>
        </span>
      </div>
      {isOpen ? (
        <div role="row" class="table-detail">
          <div role="cell">
            {actor.error ? <p class="bad-text">Last crash: {actor.error}</p> : null}
            <ActorDetail path={actor.path} />
          </div>
        </div>
      ) : null}
    </>
  );
}

/** The lines of the tree; those alone are drawn that the window shows. */
export function ActorLines({ lines, nowS, onFold }: Properties) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (path: string) => {
    const next = new Set(open);
    if (!next.delete(path)) next.add(path);
    setOpen(next);
  };
  return (
    <div class="table" role="table" aria-label="Actors" aria-rowcount={lines.length + 1}>
      <div role="rowgroup" class="table-head">
        <div role="row" class="table-row actor-row">
          {["Actor", "State", "Restarts", "Mailbox", "Messages/s", "In hand"].map((title) => (
            <span role="columnheader" key={title} class={/Restarts|Messages/.test(title) ? "number" : ""}>
              {title}
            </span>
          ))}
          <span role="columnheader" aria-label="Details" />
        </div>
      </div>
      <WindowRows rows={lines} rowPx={ROW_PX} keyOf={(line) => line.actor.path}>
        {(line) => (
          <Row
            line={line}
            nowS={nowS}
            isOpen={open.has(line.actor.path)}
            onOpen={() => toggle(line.actor.path)}
            onFold={onFold}
          />
        )}
      </WindowRows>
    </div>
  );
}
