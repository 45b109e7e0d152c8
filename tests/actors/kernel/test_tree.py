"""The live tree: everything one wants to know, as plain data, also while things are jammed."""

from __future__ import annotations

import json
import math
import time
from enum import Enum
from functools import partial

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.actors.kernel.actors import QUICK, Journal, Server, Worker, worker_spec
from trimon.actors.kernel import ChildSpec, Group, Mailbox, Pool, find, node, plain, tree, walk


class Nosy(Worker):
    def inspect(self) -> dict[str, object]:
        raise RuntimeError("do not look")


class Stuck:
    """Takes one message and never lets go of it."""

    def __init__(self, box: Mailbox[str]) -> None:
        self.box = box

    async def run(self) -> None:
        await self.box.receive()
        await trio.sleep_forever()

    def inspect(self) -> dict[str, object]:
        return {"queue": math.inf}


async def test_the_tree_tells_everything_while_a_mailbox_is_jammed(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Paths, states, restarts, crash, mailbox figures and message in hand are there, and JSON can write it."""
    journal = Journal()
    box: Mailbox[str] = Mailbox("store", max=2)
    pool: Pool[int] = Pool("scrape")
    pool.reconcile({1: worker_spec("job/1", journal), 2: worker_spec("job/2", journal, 0.4)})
    group = Group(
        "trimon",
        [
            ChildSpec("store", lambda: Stuck(box), box, policy=QUICK),
            ChildSpec("nosy", lambda: Nosy("n", journal)),
            ChildSpec("scrape", lambda: pool),
        ],
    )
    nursery.start_soon(group.run)
    await group.ready.wait()
    for number in range(5):
        nursery.start_soon(box.send, f"m{number}")
        await wait_all_tasks_blocked()
    await trio.sleep(1)
    assert json.loads(json.dumps(tree(group))) == tree(group)
    nodes = {shown["path"]: shown for shown in (node(here) for _, here in walk(group))}
    assert list(nodes) == [
        "trimon",
        "trimon/store",
        "trimon/nosy",
        "trimon/scrape",
        "trimon/scrape/job/1",
        "trimon/scrape/job/2",
    ]
    store = nodes["trimon/store"]
    assert store["state"] == "running"
    assert store["in_hand"] == "str"
    assert store["handled"] == 0
    assert store["fields"] == {"queue": "inf"}
    mailbox = store["mailbox"]
    assert isinstance(mailbox, dict)
    assert (mailbox["policy"], mailbox["used"], mailbox["max"], mailbox["waiting"]) == ("wait", 2, 2, 2)
    assert nodes["trimon/nosy"]["fields"] == {"inspect_failed": "RuntimeError: do not look"}
    fallen = nodes["trimon/scrape/job/2"]
    assert (fallen["state"], fallen["attempt"]) == ("backoff", 1)
    crash = fallen["last_crash"]
    assert isinstance(crash, dict)
    assert crash["error"] == "ValueError: job/2 fell"
    assert nodes["trimon/scrape"]["fields"] == {"wanted": 2, "children": 2, "running": 1, "backoff": 1}
    nursery.cancel_scope.cancel()


async def test_one_node_is_found_by_its_path(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """find gives the node of a path with its children, or None."""
    journal = Journal()
    pool: Pool[int] = Pool("scrape")
    pool.reconcile({1: worker_spec("job/1", journal)})
    group = Group("trimon", [ChildSpec("scrape", lambda: pool)])
    nursery.start_soon(group.run)
    await trio.sleep(1)
    found = find(group, "trimon/scrape/job/1")
    assert found is not None
    assert found["fields"] == {"lives_s": None}
    assert find(group, "trimon/scrape/job/2") is None
    root = find(group, "trimon")
    assert root == tree(group)
    nursery.cancel_scope.cancel()


def test_a_node_costs_microseconds() -> None:
    """Walking 1,000 children gives 1,000 nodes; the time a node is printed, not asserted."""

    async def main() -> float:
        pool: Pool[int] = Pool("pool")
        boxes = [Mailbox[int](f"b{n}", max=5) for n in range(1000)]
        pool.reconcile(
            {n: ChildSpec(f"w{n}", partial(Server, box, print), box) for n, box in enumerate(boxes)}
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.run)
            await wait_all_tasks_blocked()
            started = time.perf_counter()
            nodes = [node(here) for _, here in walk(pool)]
            took = time.perf_counter() - started
            assert len(nodes) == 1001
            nursery.cancel_scope.cancel()
        return took / 1000

    print(f"one node: {trio.run(main) * 1e6:.1f} µs")


class Colour(Enum):
    RED = "red"


@settings(deadline=None)  # the machine may be busy
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.binary()
        | st.just(Colour.RED)
        | st.just(object()),
        lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=30,
    )
)
def test_any_value_becomes_strict_json(value: object) -> None:
    """Whatever inspect() returns, strict JSON can write what the tree makes of it."""
    json.dumps(plain(value), allow_nan=False)
