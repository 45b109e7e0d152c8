"""Targets that are built once, however often discovery says them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trimon.actors.kernel.spec import ChildSpec
from trimon.actors.scraping import targetbuilding
from trimon.actors.scraping.targetbuilding import BuiltTargets, TargetBuilder
from trimon.scrape.options import PoolOptions
from trimon.scrape.target import Target, build_target

OPTIONS = PoolOptions("j", target_limit=6)


class _Actor:
    async def run(self) -> None:
        await trio.sleep_forever()

    def inspect(self) -> dict[str, object]:
        return {}


def spec_of(target: Target, forced: str) -> ChildSpec:
    return ChildSpec(target.key, _Actor, version=(target, forced))


def outcome(built: BuiltTargets) -> tuple[object, ...]:
    specs = {key: spec.version for key, spec in built.specs.items()}
    return built.targets, built.dropped, built.errors, built.forced, specs


SETS = [
    {"__address__": "a:1"},
    {"__address__": "a:1", "x": "y"},
    {"__address__": "b:1"},
    {"__address__": "bad/host"},
    {"__address__": "a:1", "__scrape_interval__": "odd"},
    {"x": "no address"},
    *({"__address__": f"c{n}:1"} for n in range(6)),
]


@given(st.lists(st.lists(st.integers(0, len(SETS) - 1), max_size=10), max_size=5))
def test_what_is_remembered_changes_nothing(steps: list[list[int]]) -> None:
    """Whatever came before, the result is that of a builder that has seen nothing."""
    kept: list[Mapping[str, str]] = [dict(labels) for labels in SETS]
    builder = TargetBuilder()
    for step in steps:
        found = builder.build([kept[index] for index in step], OPTIONS, spec_of)
        fresh = TargetBuilder().build([dict(kept[index]) for index in step], OPTIONS, spec_of)
        assert outcome(found) == outcome(fresh)


def test_a_label_set_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same object is looked up, an equal one and another job's options are built; specs stay the same objects."""
    made = []

    def counted(labels: Mapping[str, str], options: PoolOptions) -> Any:
        made.append(1)
        return build_target(labels, options)

    monkeypatch.setattr(targetbuilding, "build_target", counted)
    labels = {"__address__": "a:1"}
    builder = TargetBuilder()
    first = builder.build([labels], OPTIONS, spec_of)
    again = builder.build([labels], OPTIONS, spec_of)
    assert len(made) == 1
    key = next(iter(first.specs))
    assert first.specs[key] is again.specs[key]
    builder.build([dict(labels)], OPTIONS, spec_of)
    builder.build([labels], PoolOptions("j"), spec_of)
    assert len(made) == 3
