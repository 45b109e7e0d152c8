"""The live tree as plain data: what is read when something hangs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from typing import Final, TypeAlias

from trimon.actors.kernel.child import Child
from trimon.actors.kernel.faults import FAULTS, describe
from trimon.actors.kernel.lifecycle import State
from trimon.actors.kernel.spec import Actor
from trimon.actors.kernel.supervisor import Supervisor

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

DEPTH_MAX: Final = 6
ITEMS_MAX: Final = 200
TEXT_MAX: Final = 2_000


def plain(value: object, depth: int = 0) -> Plain:
    """A value as JSON can write it, bounded in depth, items and text; other types show their name."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return value if len(value) <= TEXT_MAX else value[: TEXT_MAX - 1] + "…"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if depth >= DEPTH_MAX:
        return "…"
    if isinstance(value, Mapping):
        items = list(value.items())[:ITEMS_MAX]
        return {str(name): plain(inner, depth + 1) for name, inner in items}
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (bytes, bytearray)):
        return [plain(inner, depth + 1) for inner in list(value)[:ITEMS_MAX]]
    return f"<{type(value).__name__}>"


def _fields(actor: Actor | None) -> Plain:
    if actor is None:
        return {}
    try:
        return plain(actor.inspect())
    except FAULTS as error:  # whatever an actor's own code raises, the tree is shown
        return {"inspect_failed": describe(error)}


def _kind(actor: Actor | None) -> str:
    return type(actor).__name__ if actor is not None else ""


def _node(child: Child) -> dict[str, Plain]:
    crash = child.last_crash
    mailbox = child.spec.mailbox
    stats = mailbox.stats() if mailbox is not None else None
    node: dict[str, Plain] = {
        "path": child.path,
        "kind": _kind(child.actor),
        "state": child.state.value,
        "since_s": child.since_s,
        "attempt": child.attempt,
        "restarts": child.restarts,
        "restart": child.spec.restart.value,
        "forced": child.forced,
        "last_crash": None
        if crash is None
        else {"at_s": crash.at_s, "error": crash.error, "attempt": crash.attempt, "in_hand": crash.in_hand},
        "mailbox": None if stats is None else plain(asdict(stats)),
        "handled": stats.handled if stats is not None else None,
        "in_hand": stats.in_hand if stats is not None else "",
        "fields": _fields(child.actor),
        "children": [],
    }
    if isinstance(child.actor, Supervisor):
        node["children"] = [_node(inner) for inner in child.actor.children()]
    return node


def tree(root: Supervisor) -> dict[str, Plain]:
    """Every node under `root` and itself, nested under `children`.

    Synchronous, on the event loop's thread; it reads counters and calls `inspect()`, it waits for nobody.
    """
    return {
        "path": root.path,
        "kind": _kind(root),
        "state": root.state.value,
        "since_s": root.since_s,
        "attempt": 0 if root.state is State.PLANNED else 1,
        "restarts": 0,
        "restart": "never",
        "forced": False,
        "last_crash": None,
        "mailbox": None,
        "handled": None,
        "in_hand": "",
        "fields": _fields(root),
        "children": [_node(child) for child in root.children()],
    }


def flat(node: Mapping[str, Plain]) -> Iterable[dict[str, Plain]]:
    """The nodes of a tree one by one, parents first, each without its children."""
    yield {name: value for name, value in node.items() if name != "children"}
    inner = node["children"]
    assert isinstance(inner, list)
    for child in inner:
        assert isinstance(child, dict)
        yield from flat(child)


def find(root: Supervisor, path: str) -> dict[str, Plain] | None:
    """The node of one path with its children, None when there is none."""
    if path == root.path:
        return tree(root)
    for child in root.children():
        if child.path == path:
            return _node(child)
        if isinstance(child.actor, Supervisor) and path.startswith(child.path + "/"):
            found = find(child.actor, path)
            if found is not None:
                return found
    return None
