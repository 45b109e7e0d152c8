"""The list of all targets: its order, and that a client that leaves ends it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.scrape.outcome import TargetState
from trimon.web.api.targets import targetlist
from trimon.web.api.targets.targetlist import TargetList
from trimon.web.externalurl import ExternalUrl


def target(name: int) -> SimpleNamespace:
    labels = (("instance", f"{name:09d}"),)
    return SimpleNamespace(
        labels=labels, discovered=labels, job="j", shown_url="http://h/", interval_ms=15000, timeout_ms=10000
    )


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many slices of few."""
    monkeypatch.setattr(targetlist, "SORTED_AT_ONCE", 7)
    monkeypatch.setattr(targetlist, "ITEMS_AT_ONCE", 3)
    monkeypatch.setattr(targetlist, "NOTED_AT_ONCE", 5)


def written(found: TargetList) -> dict[str, list[dict[str, Any]]]:
    pieces = found.pieces(ExternalUrl(), lambda labels: labels, lambda: None)
    shown: dict[str, list[dict[str, Any]]] = orjson.loads(b"".join(pieces))
    return shown


@given(st.lists(st.integers(0, 10**6)))
def test_targets_of_a_pool_come_in_the_order_of_their_labels(names: list[int]) -> None:
    """Each once, however many parts were sorted and written."""
    found = TargetList(active=[[(target(name), TargetState()) for name in names]])  # type: ignore[misc]  # they have what is shown
    shown = [each["labels"]["instance"] for each in written(found)["activeTargets"]]
    assert shown == [f"{name:09d}" for name in sorted(names)]


async def test_all_targets_of_a_pool_are_noted() -> None:
    """With the state of those that have been scraped."""
    state = TargetState("up", "", 1000, 0.5)
    pool = SimpleNamespace(
        targets={str(name): target(name) for name in range(23)},
        sessions={"3": SimpleNamespace(state=state)},
    )
    found = TargetList()
    await found.note(pool)  # type: ignore[arg-type]  # it has what is looked at
    shown = written(found)["activeTargets"]
    assert [each["health"] for each in shown] == ["unknown"] * 3 + ["up"] + ["unknown"] * 19


def test_who_leaves_ends_the_work() -> None:
    """It is checked between slices, and no more is written."""
    looks: Iterator[int] = iter(range(10))

    def check() -> None:
        if next(looks) == 2:
            raise KeyError

    found = TargetList(active=[[(target(name), None) for name in range(100)]])  # type: ignore[misc]  # they have what is shown
    with pytest.raises(KeyError):
        list(found.pieces(ExternalUrl(), lambda labels: labels, check))
    assert next(looks) == 3
