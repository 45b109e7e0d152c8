"""Lists of label sets: what they may take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.web_world import web_world
from tests.web.http.test_pipeline import ENABLED, NOW_S, filled
from trimon.memory.queries import MemoryShort, QueryMemory, Reservation
from trimon.query.conformance.memory import MemoryStore
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.web.api.querying.series import _series

MIB = 2**20


def store(series: int) -> MemoryStore:
    made = MemoryStore()
    for place in range(series):
        made.append((("__name__", "a"), ("place", str(place))), 1000, 1.0)
    return made


def listed(budget: Budget, most: int = 0) -> int:
    return len(_series([()], 0, 2000, most, store(5000), budget))


def test_label_sets_count_as_memory_of_their_query() -> None:
    """More than a query may hold is an error with the numbers; a limit of the request makes it less."""
    assert listed(Budget(QueryOptions())) == 5000
    with pytest.raises(QueryError, match="bytes for label sets"):
        listed(Budget(QueryOptions(bytes_max=MIB)))
    assert listed(Budget(QueryOptions(bytes_max=MIB)), most=10) == 11


def test_label_sets_wait_for_memory_as_queries_do() -> None:
    """What others hold is not there for them."""
    memory = QueryMemory(20 * MIB)
    assert Reservation(memory).raise_to(15 * MIB)
    with pytest.raises(MemoryShort):
        listed(Budget(QueryOptions(), Reservation(memory)))


@pytest.mark.parametrize("target", ["series?match[]=m", "labels?match[]=m", "label/number/values?"])
async def test_an_end_before_the_start_is_as_in_prometheus(target: str, tmp_path: Path) -> None:
    """What lies between is found all the same, unless the end is before everything that the head has."""
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        for end_s, is_found in ((NOW_S, True), (NOW_S - 5, False), (1000, False)):
            answer = await here.client.get(f"/api/v1/{target}&start={NOW_S + 9}&end={end_s}")
            assert bool((await answer.get_json())["data"]) is is_found, end_s
