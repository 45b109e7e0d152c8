import { describe, expect, it } from "vitest";
import { type ActorEvent, ActorTree, jams, lines, states } from "./model";

const COLUMNS = ["path", "kind", "state", "used", "max", "waiting", "handled", "in_hand", "in_hand_s"];

function event(nowS: number, rows: (string | number)[][], gone: string[] = []): ActorEvent {
  return { now_s: nowS, columns: COLUMNS, rows, gone };
}

function row(path: string, more: Partial<Record<string, string | number>> = {}): (string | number)[] {
  const all: Record<string, string | number> = { path, kind: "X", state: "running", ...more } as Record<
    string,
    string | number
  >;
  return COLUMNS.map((name) => all[name] ?? (name === "in_hand" ? "" : 0));
}

function small(): ActorTree {
  const tree = new ActorTree();
  tree.apply(event(0, [row("t"), row("t/a"), row("t/b"), row("t/b/1"), row("t/b/2", { state: "failed" })]));
  return tree;
}

describe("ActorTree", () => {
  it("keeps what does not change, and counts messages a second", () => {
    const tree = small();
    tree.apply(event(2, [row("t/a", { handled: 100 })]));
    expect(tree.actors.get("t/a")?.rate).toBe(50);
    expect(tree.actors.size).toBe(5);
    tree.apply(event(5, []));
    expect(tree.actors.get("t/a")?.rate).toBe(0);
  });

  it("forgets those that are gone", () => {
    const tree = small();
    tree.apply(event(1, [], ["t/b/1"]));
    expect(lines(tree, new Set()).map((line) => line.actor.path)).toEqual(["t", "t/a", "t/b", "t/b/2"]);
  });
});

describe("lines", () => {
  it("folds what somebody folded, and says how many are below and unwell", () => {
    const shown = lines(small(), new Set(["t/b"]));
    expect(shown.map((line) => line.actor.path)).toEqual(["t", "t/a", "t/b"]);
    expect(shown[2]).toMatchObject({ below: 2, unwell: 1, isOpen: false });
  });

  it("folds many by itself", () => {
    const tree = new ActorTree();
    tree.apply(
      event(0, [row("t"), row("t/p"), ...Array.from({ length: 5000 }, (_, at) => row(`t/p/${at}`))]),
    );
    expect(lines(tree, new Set()).length).toBe(2);
    expect(lines(tree, new Set(["t/p"])).length).toBe(5002);
  });

  it("shows what is above a match", () => {
    const shown = lines(small(), new Set(["t/b"]), (actor) => actor.name === "2");
    expect(shown.map((line) => line.actor.path)).toEqual(["t", "t/b", "t/b/2"]);
  });
});

describe("jams", () => {
  it("names the one that has a message in hand the longest first", () => {
    const tree = small();
    tree.apply(
      event(1, [
        row("t/a", { used: 4, max: 4, waiting: 3 }),
        row("t/b/1", { used: 1, max: 4, in_hand: "Append", in_hand_s: 12 }),
      ]),
    );
    expect(jams(tree).map((jam) => jam.actor.path)).toEqual(["t/b/1", "t/a"]);
  });

  it("takes a normal end for no alarm", () => {
    const tree = new ActorTree();
    tree.apply(event(0, [row("t", { state: "done" })]));
    expect(jams(tree)).toEqual([]);
    expect(states(tree)).toEqual([["done", 1]]);
  });
});
