"""Long answers: what they say, and that nobody waits for them."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import orjson
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trimon.gotext.strings import go_json
from trimon.model.table import LabelTable
from trimon.offload import ThreadOffload
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.web.api.querying.metadata import metadata_endpoints
from trimon.web.api.querying.series import series_endpoints
from trimon.web.api.targets.listing import targets_endpoints
from trimon.web.context import WebContext
from trimon.web.externalurl import ExternalUrl
from trimon.web.http.answer import Answer
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.multidict import MultiDict
from trimon.web.http.pieces import ITEMS_AT_ONCE, json_list, json_map, json_pieces

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def lazy(data: object) -> object:
    """The same with lists as iterators wherever they may be."""
    if isinstance(data, list):
        return iter([lazy(item) for item in data])
    if isinstance(data, dict):
        return {name: lazy(value) if isinstance(value, list) else value for name, value in data.items()}
    return data


@given(PLAIN)
def test_pieces_are_the_json_of_the_whole(data: object) -> None:
    """Iterators are written as the lists that they stand for."""
    assert b"".join(json_pieces(lazy(data))) == orjson.dumps(data)


def test_lists_and_maps_are_written_whole() -> None:
    """However many items, and none."""
    for count in (0, 1, ITEMS_AT_ONCE, ITEMS_AT_ONCE + 1, 5 * ITEMS_AT_ONCE):
        items: list[object] = [{"a": str(place)} for place in range(count)]
        assert json_list([*items], lambda: None) == orjson.dumps(items)
        assert json_list([*items], lambda: None, str) == orjson.dumps([str(item) for item in items])
        found = {str(place): item for place, item in enumerate(items)}
        assert json_map(found, list(found)) == orjson.dumps(found)


def test_escapes_of_long_texts_are_those_of_short_ones() -> None:
    """Characters of several bytes stay whole wherever a long text is divided."""
    for shift in range(4):
        text = ("x" * shift + "<>&\u2028ü") * 200_000
        escaped = go_json(text.encode()).decode()
        assert escaped == text.replace("<", "\\u003c").replace(">", "\\u003e").replace(
            "&", "\\u0026"
        ).replace("\u2028", "\\u2028")


# ---- nobody waits

COUNT = 250_000
LAG_S_MAX = 0.15
ROUNDS = 4


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """The server has a collector of its own, which looks at few objects at a time."""
    gc.disable()
    yield
    gc.enable()


async def lag_s(work: Callable[[], Awaitable[object]]) -> float:
    """The longest that the loop was held, in the first round that was good.

    In seconds of this process' processors, whichever thread used them: the machine has others to serve, too.
    """
    best_s = 1000.0
    for _ in range(ROUNDS):
        worst_s = 0.0

        async def watch() -> None:
            nonlocal worst_s
            while True:
                began_s = time.process_time()
                await trio.sleep(0.002)
                worst_s = max(worst_s, time.process_time() - began_s)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.sleep(0.01)
            await work()
            nursery.cancel_scope.cancel()
        best_s = min(best_s, worst_s)
        if best_s < LAG_S_MAX:
            break
    return best_s


class Asked:
    """A request with these parameters."""

    def __init__(self, path: str, *values: tuple[str, str]) -> None:
        self.path = f"/api/v1{path}"
        self.path_values = {"name": "instance"}
        self.client, self.user = "127.0.0.1", ""
        self._values = MultiDict(values)

    def header(self, name: str) -> str:
        del name
        return ""

    def query(self) -> MultiDict[str, str]:
        return self._values

    async def values(self, **_how: bool) -> MultiDict[str, str]:
        return self._values

    async def attended(self, work: Callable[[], Awaitable[Answer]], **_how: bool) -> Answer:
        return await work()


class ManySeries:
    """A snapshot and a selection of series in no order."""

    def __init__(self) -> None:
        order = list(range(COUNT))
        random.Random(1).shuffle(order)
        self._all = [
            (("__name__", "up"), ("instance", f"host-{place}.example.org:9100"), ("job", "node"))
            for place in order
        ]
        self.labels = LabelTable.of(self._all)

    def select(self, *_: object) -> ManySeries:
        return self

    def living(self, *_: object) -> np.ndarray[Any, Any]:
        return np.ones(COUNT, dtype=bool)

    def missing(self, *_: object) -> list[str]:
        return []

    def labels_version(self, *_: object) -> None:
        return None

    def label_values(self, *_: object) -> Iterable[str]:
        return [f"host-{place}" for place in range(COUNT)]


def context_of(**parts: object) -> WebContext:
    offload, snapshot = ThreadOffload(2), ManySeries()

    async def run(
        _: str, options: QueryOptions, work: Callable[[object, Budget], Answer], **_of_whom: object
    ) -> Answer:
        return await offload.run(lambda: work(snapshot, Budget(options)))

    def held(answer: Answer) -> Answer:
        return answer

    named = {
        "offload": offload,
        "queries": SimpleNamespace(run=run, run_quick=lambda *_: None),
        "query_options": QueryOptions,
        "held": held,
        "options": SimpleNamespace(external=ExternalUrl()),
        "mask": lambda labels: labels,
        **parts,
    }
    return cast("WebContext", SimpleNamespace(**named))


def handler_of(endpoints: list[Endpoint], path: str) -> Callable[[Any], Awaitable[Answer]]:
    (found,) = (endpoint for endpoint in endpoints if endpoint.path == f"/api/v1{path}")
    return found.handler


async def test_many_series_hold_nobody_up() -> None:
    """Neither their sorting nor their JSON holds the loop, which a single call over all of them would."""
    handler = handler_of(series_endpoints(context_of()), "/series")
    answers: list[Answer] = []

    async def work() -> None:
        answers.append(await handler(Asked("/series", ("match[]", "up"))))

    assert await lag_s(work) < LAG_S_MAX
    shown = [labels["instance"] for labels in orjson.loads(answers[0].body)["data"]]
    assert len(shown) == COUNT
    assert shown == sorted(shown)


async def test_many_names_hold_nobody_up() -> None:
    """The same for values and names of labels."""
    asked = Asked("/label/instance/values")
    handler = handler_of(series_endpoints(context_of()), "/label/<name>/values")
    assert await lag_s(lambda: handler(asked)) < LAG_S_MAX


def many_targets(count: int, families: int) -> dict[str, object]:
    told = {
        f"metric_{place}": SimpleNamespace(type="gauge", help="What it <is>", unit="")
        for place in range(families)
    }

    def target(place: int) -> object:
        labels = (("instance", f"host-{place}:9100"), ("job", "node"))
        url = f"http://host-{place}:9100/metrics"
        return SimpleNamespace(
            labels=labels, discovered=labels, job="node", shown_url=url, interval_ms=15000, timeout_ms=10000
        )

    targets = {str(place): target(place) for place in range(count)}
    state = SimpleNamespace(last_error="", last_scrape_ms=0, last_duration_s=0.5, health="up")
    sessions = {
        key: SimpleNamespace(target=target, families=told, state=state) for key, target in targets.items()
    }
    return {"node": SimpleNamespace(targets=targets, sessions=sessions, dropped=[], dropped_count=0)}


async def test_many_targets_hold_nobody_up() -> None:
    """/targets with thousands of them, and /metadata and /targets/metadata with as many families of each."""
    pools = many_targets(15_000, 12)
    context = context_of(scrape_pools=lambda: pools)
    for endpoints, path in (
        (targets_endpoints, "/targets"),
        (metadata_endpoints, "/metadata"),
        (metadata_endpoints, "/targets/metadata"),
    ):
        handler = handler_of(endpoints(context), path)
        assert await lag_s(lambda: handler(Asked(path))) < LAG_S_MAX, path  # noqa: B023 # it is called at once


def test_an_iterator_is_read_while_it_is_written() -> None:
    """So that what comes after a turn of others is as it is then."""
    seen: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3):
            seen.append(number)
            yield number

    pieces = json_pieces({"a": items()})
    while next(pieces) != b"0":
        pass
    assert seen == [0]
