"""Which targets came, went and changed, as the hub tells it."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from trimon.discovery.history import CHANGES_MAX, SPAN_MS, ChangeKind, TargetChange, TargetHistory
from trimon.discovery.hub import Hub

LabelSet = Mapping[str, str]


class Watch:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1000


def target(address: str, **labels: str) -> LabelSet:
    return {"__address__": address, **labels}


def made() -> tuple[Watch, TargetHistory, Hub]:
    clock = Watch()
    history = TargetHistory(clock)
    hub = Hub(history=history)
    hub.wire({"job": ["p"]})
    return clock, history, hub


def told(history: TargetHistory) -> list[tuple[ChangeKind, str, int]]:
    history.work()
    return [(each.kind, each.labels().get("__address__", ""), each.count) for each in history.changes()]


def test_a_first_publish_is_one_entry_and_then_each_target_counts() -> None:
    """A thousand targets of a start do not push out what is worth knowing; later each change names its labels."""
    clock, history, hub = made()
    hub.update("p", {"g": tuple(target(f"h{n}") for n in range(1000))}, complete=True)
    assert told(history) == [(ChangeKind.FIRST, "", 1000)]
    clock.at_ms += 5
    hub.update("p", {"g": (target("h0", a="1"), target("h1")), "k": (target("new"),)}, complete=False)
    found = told(history)
    assert found[-1] == (ChangeKind.FIRST, "", 1000)
    assert found.count((ChangeKind.CHANGED, "h0", 1)) == 1
    assert (ChangeKind.CAME, "new", 1) in found
    assert sum(kind is ChangeKind.WENT for kind, _, _ in found) == 998
    [changed] = [each for each in history.changes() if each.kind is ChangeKind.CHANGED]
    assert changed.differing() == {"a": (None, "1")}
    assert (changed.at_ms, changed.source, changed.provider) == (clock.at_ms, "g", "p")


def test_a_provider_that_says_all_again_tells_what_is_gone() -> None:
    """A provider that starts again is compared with what it said before; one that is taken away is told."""
    _, history, hub = made()
    hub.update("p", {"a": (target("x"),), "b": (target("y"),)}, complete=True)
    hub.update("p", {"a": (target("x"),)}, complete=True)
    assert told(history)[:-1] == [(ChangeKind.WENT, "y", 1)]
    hub.wire({"job": ["q"]})
    assert told(history)[:2] == [(ChangeKind.WENT, "x", 1), (ChangeKind.REMOVED, "", 1)]
    assert history.changes()[0].jobs == ("job",)


def test_only_an_hour_is_kept() -> None:
    """What is older is not told, and goes when something new comes."""
    clock, history, hub = made()
    hub.update("p", {"a": (target("x"),)}, complete=True)
    hub.update("p", {"a": ()}, complete=False)
    clock.at_ms += SPAN_MS + 1
    assert told(history) == []
    hub.update("p", {"a": (target("z"),)}, complete=False)
    assert told(history) == [(ChangeKind.CAME, "z", 1)]
    assert history.since_ms == clock.at_ms - SPAN_MS


def test_memory_is_bounded_and_says_how_far_it_reaches() -> None:
    """More changes than are kept push out the oldest, and `since_ms` moves."""
    clock, history, hub = made()
    hub.update("p", {}, complete=True)
    for step in range(60):
        clock.at_ms += 1000
        groups = {f"g{n}": (target(f"{step}-{n}", pad="x" * 100),) for n in range(1000)}
        hub.update("p", groups, complete=False)
        history.work()
    assert history.size_bytes <= 16 * 2**20
    found = history.changes()
    assert 0 < len(found) <= CHANGES_MAX
    assert found[-1].at_ms >= history.since_ms > clock.at_ms - 60_000


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"),
            st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("12")), max_size=4, unique=True),
            max_size=3,
        ),
        max_size=8,
    )
)
def test_changes_lead_from_one_state_to_the_next(steps: list[dict[str, list[tuple[str, str]]]]) -> None:
    """Whatever is published, the changes applied to the targets of before give those of after."""
    _, history, hub = made()
    hub.update("p", {}, complete=True)
    history.work()
    held: list[tuple[tuple[str, str], ...]] = []
    seen = len(history.changes())
    for step in steps:
        groups = {
            source: tuple(target(address, v=value, s=source) for address, value in targets)
            for source, targets in step.items()
        }
        hub.update("p", groups, complete=False)
        history.work()
        changes = history.changes()
        new: list[TargetChange] = changes[: len(changes) - seen][::-1]
        seen = len(changes)
        for change in new:
            if change.before is not None:
                held.remove(tuple(sorted(change.before.items())))
            if change.after is not None:
                held.append(tuple(sorted(change.after.items())))
        assert sorted(held) == sorted(tuple(sorted(labels.items())) for labels in hub.targets("job"))
