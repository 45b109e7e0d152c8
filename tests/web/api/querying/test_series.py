"""Lists of label sets: what they may take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.support.asgi import Call
from tests.support.web_world import web_world
from tests.web.http.test_pipeline import ENABLED, NOW_S, PROTO, filled, write_body
from trimon.memory.queries import MemoryShort, QueryMemory, Reservation
from trimon.model.table import LabelTable
from trimon.query.conformance.memory import MemoryStore
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.web.api.querying.lookups import Lookups, SeriesTexts
from trimon.web.api.querying.series import _Asked, _series
from trimon.web.http.parameters import TRUNCATED

MIB = 2**20


def store(series: int) -> MemoryStore:
    made = MemoryStore()
    for place in range(series):
        made.append((("__name__", "a"), ("place", str(place))), 1000, 1.0)
    return made


def listed(budget: Budget, most: int = 0) -> int:
    warnings: list[str] = []
    asked = _Asked("series", ("{}",), 0, 2000, most)
    found = orjson.loads(_series(Lookups(), asked, [()], store(5000), budget, warnings))
    assert warnings == ([TRUNCATED] if most else [])
    return len(found)


def test_label_sets_count_as_memory_of_their_query() -> None:
    """More than a query may hold is an error with the numbers; a limit of the request makes it less."""
    assert listed(Budget(QueryOptions())) == 5000
    with pytest.raises(QueryError, match="bytes for label sets"):
        listed(Budget(QueryOptions(bytes_max=MIB)))
    assert listed(Budget(QueryOptions(bytes_max=MIB)), most=10) == 10


def test_label_sets_wait_for_memory_as_queries_do() -> None:
    """What others hold is not there for them."""
    memory = QueryMemory(20 * MIB)
    assert Reservation(memory).raise_to(15 * MIB)
    with pytest.raises(MemoryShort):
        listed(Budget(QueryOptions(), Reservation(memory)))


@pytest.mark.parametrize("target", ["series?match[]=m", "labels?match[]=m", "label/number/values?"])
async def test_an_end_before_the_start_is_as_in_prometheus(target: str, tmp_path: Path) -> None:
    """What lies between is found all the same, where the head has something before the end and after the start."""
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        later = write_body("m", ((NOW_S + 20) * 1000, 1.0), number="n0")
        assert (await Call("POST", "/api/v1/write", PROTO, later).to(here.client.app))[0] == 204
        for start_s, end_s, is_found in (
            (NOW_S + 9, NOW_S, True),
            (NOW_S + 20, NOW_S, True),
            (NOW_S + 21, NOW_S, False),
            (9e9, NOW_S, False),
            (9e9, NOW_S + 20, False),
            (NOW_S + 9, NOW_S - 5, False),
            (NOW_S + 9, 1000, False),
        ):
            answer = await here.client.get(f"/api/v1/{target}&start={start_s}&end={end_s}")
            assert bool((await answer.get_json())["data"]) is is_found, (start_s, end_s)


def test_the_living_series_are_shown_in_order() -> None:
    """Whatever rows have no sample, the list is what orjson makes of the others in order, and empty where none has."""
    generator = np.random.default_rng(5)
    places = generator.permutation(300).tolist()
    sets = [(("__name__", "a"), ("place", f'"{place:03d}')) for place in places]
    table = LabelTable.of(sets)
    texts = SeriesTexts.of(table, lambda: None)
    for share in (0.0, 0.3, 0.9, 1.0):
        living = generator.random(300) < share
        kept = sorted(labels for labels, lives in zip(sets, living.tolist(), strict=True) if lives)
        assert texts.shown(living) == orjson.dumps([dict(labels) for labels in kept])


def test_a_list_is_remembered_for_its_version_alone() -> None:
    """Of another version, or of one that is not known, nothing is; the largest that fits no more are forgotten first."""
    lookups = Lookups(limit_bytes=4000)
    lookups.remember_texts("labels", (1,), b"[1]")
    assert lookups.texts("labels", (1,)) == b"[1]"
    assert lookups.texts("labels", (2,)) is None
    lookups.remember_texts("values", None, b"[2]")
    assert lookups.texts("values", None) is None
    made: list[int] = []

    def make() -> SeriesTexts:
        made.append(1)
        return SeriesTexts.of(LabelTable.of([(("a", "b"),)]), lambda: None)

    for version in ((1,), (1,), (2,), None, None):
        lookups.series("series", version, make)
    assert len(made) == 4
    lookups.remember_texts("large", (1,), b"x" * 5000)
    assert lookups.texts("large", (1,)) is None
    assert 0 < lookups.used_bytes < 4000


async def test_a_new_series_is_in_the_next_answer(tmp_path: Path) -> None:
    """What is remembered is forgotten as soon as there is another series."""
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        for target in ("labels", "label/new/values", "series?match[]={__name__=~'.%2B'}"):
            for _ in range(4):
                answer = await here.client.get(f"/api/v1/{target}")
            before = (await answer.get_json())["data"]
            assert "new" not in str(before)
        body = write_body("z", (NOW_S * 1000, 1.0), new="new value")
        assert (await Call("POST", "/api/v1/write", PROTO, body).to(here.client.app))[0] == 204
        for target in ("labels", "label/new/values", "series?match[]={__name__=~'.%2B'}"):
            answer = await here.client.get(f"/api/v1/{target}")
            assert "new" in str((await answer.get_json())["data"]), target
