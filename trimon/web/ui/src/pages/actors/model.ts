/** The actors as a tree, from rows that come one after the other; what jams, and who is to blame for it. */

export interface Actor {
  path: string;
  name: string;
  depth: number;
  kind: string;
  state: string;
  sinceS: number;
  restarts: number;
  policy: string;
  used: number;
  max: number;
  peak: number;
  waiting: number;
  lost: number;
  handled: number;
  inHand: string;
  inHandS: number;
  error: string;
  errorAtS: number;
  /** Messages a second since the row before. */
  rate: number;
}

export interface ActorEvent {
  now_s: number;
  columns: string[];
  rows: (string | number)[][];
  gone: string[];
}

/** What is told when an actor has one message in hand for so long. */
export const SLOW_S = 1;
const GOOD = new Set(["running", "done", "stopped", "stopping", "planned"]);
const UNHEALTHY = new Set(["failed", "quarantined", "backoff"]);

export function isUnhealthy(actor: Actor): boolean {
  return UNHEALTHY.has(actor.state);
}

export function toneOf(state: string): "good" | "warn" | "bad" | "none" {
  if (state === "running") return "good";
  if (UNHEALTHY.has(state)) return state === "backoff" ? "warn" : "bad";
  return GOOD.has(state) ? "none" : "warn";
}

function actorOf(row: (string | number)[], at: Record<string, number>): Actor {
  const text = (name: string) => String(row[at[name] ?? -1] ?? "");
  const number = (name: string) => Number(row[at[name] ?? -1] ?? 0);
  const path = text("path");
  const parts = path.split("/");
  return {
    path,
    name: parts[parts.length - 1] ?? path,
    depth: parts.length - 1,
    kind: text("kind"),
    state: text("state"),
    sinceS: number("since_s"),
    restarts: number("restarts"),
    policy: text("policy"),
    used: number("used"),
    max: number("max"),
    peak: number("peak"),
    waiting: number("waiting"),
    lost: number("lost"),
    handled: number("handled"),
    inHand: text("in_hand"),
    inHandS: number("in_hand_s"),
    error: text("error"),
    errorAtS: number("error_at_s"),
    rate: 0,
  };
}

/** All actors, as the events of the stream make them. */
export class ActorTree {
  readonly actors = new Map<string, Actor>();
  readonly children = new Map<string, string[]>();
  nowS = 0;
  private readonly changedS = new Map<string, number>();

  apply(event: ActorEvent): void {
    const at = Object.fromEntries(event.columns.map((name, place) => [name, place]));
    for (const actor of this.actors.values())
      if (actor.rate && this.age(actor.path, event.now_s) > 2) actor.rate = 0;
    for (const row of event.rows) {
      const actor = actorOf(row, at);
      const before = this.actors.get(actor.path);
      const tookS = this.age(actor.path, event.now_s);
      if (before && tookS > 0)
        actor.rate = Math.max(0, (actor.handled - before.handled) / Math.min(tookS, 60));
      if (!before) this.join(actor.path);
      this.actors.set(actor.path, actor);
      this.changedS.set(actor.path, event.now_s);
    }
    for (const path of event.gone) this.leave(path);
    this.nowS = event.now_s;
  }

  private age(path: string, nowS: number): number {
    return nowS - (this.changedS.get(path) ?? nowS);
  }

  private join(path: string): void {
    const above = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    const siblings = this.children.get(above);
    if (siblings) siblings.push(path);
    else this.children.set(above, [path]);
  }

  private leave(path: string): void {
    this.actors.delete(path);
    this.changedS.delete(path);
    const above = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    const siblings = this.children.get(above);
    if (siblings)
      this.children.set(
        above,
        siblings.filter((each) => each !== path),
      );
    this.children.delete(path);
  }
}

export interface Jam {
  actor: Actor;
  why: string;
}

/**
 * Who holds others up: whose mailbox is full or has senders waiting, or who has one message in hand for long.
 * The one with the longest message is first: it is the reason of the others.
 */
export function jams(tree: ActorTree): Jam[] {
  const found: Jam[] = [];
  for (const actor of tree.actors.values()) {
    const isFull = actor.max > 0 && actor.used >= actor.max;
    if (actor.waiting > 0) found.push({ actor, why: `${actor.waiting} wait to give it a message` });
    else if (isFull && actor.inHandS >= SLOW_S) found.push({ actor, why: "its mailbox is full" });
    else if (actor.inHandS >= SLOW_S) found.push({ actor, why: "it is busy with one message" });
  }
  return found.sort((a, b) => b.actor.inHandS - a.actor.inHandS || b.actor.waiting - a.actor.waiting);
}

export interface Line {
  actor: Actor;
  /** How many are below it. */
  below: number;
  /** How many of those below are not well. */
  unwell: number;
  isOpen: boolean;
}

/** Below more than so many an actor is folded until somebody opens it. */
export const FOLDED_ABOVE = 30;

export function isOpenByDefault(tree: ActorTree, path: string): boolean {
  return (tree.children.get(path)?.length ?? 0) <= FOLDED_ABOVE;
}

interface Below {
  below: number;
  unwell: number;
}

function counted(tree: ActorTree): Map<string, Below> {
  const counts = new Map<string, Below>();
  const count = (path: string): Below => {
    const sum = { below: 0, unwell: 0 };
    for (const child of tree.children.get(path) ?? []) {
      const inside = count(child);
      const actor = tree.actors.get(child);
      sum.below += 1 + inside.below;
      sum.unwell += inside.unwell + (actor && isUnhealthy(actor) ? 1 : 0);
    }
    counts.set(path, sum);
    return sum;
  };
  count("");
  return counts;
}

/** The lines that are shown: folded ones hide what is below; a search shows what fits and all above it. */
export function lines(
  tree: ActorTree,
  turned: ReadonlySet<string>,
  fits?: (actor: Actor) => boolean,
): Line[] {
  const counts = counted(tree);
  const out: Line[] = [];
  const wanted = fits ? fitting(tree, fits) : undefined;
  const add = (path: string): void => {
    const actor = tree.actors.get(path);
    if (!actor || (wanted && !wanted.has(path))) return;
    const inside = counts.get(path) ?? { below: 0, unwell: 0 };
    const isOpen = wanted ? true : isOpenByDefault(tree, path) !== turned.has(path);
    out.push({ actor, ...inside, isOpen: isOpen && inside.below > 0 });
    if (isOpen) for (const child of tree.children.get(path) ?? []) add(child);
  };
  for (const path of tree.children.get("") ?? []) add(path);
  return out;
}

function fitting(tree: ActorTree, fits: (actor: Actor) => boolean): Set<string> {
  const wanted = new Set<string>();
  for (const actor of tree.actors.values()) {
    if (!fits(actor)) continue;
    let path = actor.path;
    while (path && !wanted.has(path)) {
      wanted.add(path);
      path = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    }
  }
  return wanted;
}

/** How many actors are in each state. */
export function states(tree: ActorTree): [string, number][] {
  const counts = new Map<string, number>();
  for (const actor of tree.actors.values()) counts.set(actor.state, (counts.get(actor.state) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}
