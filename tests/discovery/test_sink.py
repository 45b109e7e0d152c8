"""The sink: what a discovery publishes is checked, bounded and compared."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon import limits
from trimon.clock import StoppedClock
from trimon.discovery.hub import Hub
from trimon.discovery.plugin import TargetGroup
from trimon.discovery.sink import BadPublish, CheckedSink, LabelSets, TooManyTargets, check_groups


class Recorder:
    """Keeps what it is told, as a plain model of the groups."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, LabelSets], bool]] = []
        self.groups: dict[str, LabelSets] = {}
        self.confirmed: list[str] = []

    def confirm(self, provider: str) -> None:
        self.confirmed.append(provider)

    def update(self, provider: str, groups: Mapping[str, LabelSets], *, complete: bool) -> None:
        self.calls.append((dict(groups), complete))
        if complete:
            self.groups = {}
        self.groups.update(groups)
        self.groups = {source: targets for source, targets in self.groups.items() if targets}


def sink() -> tuple[CheckedSink, Recorder]:
    recorder = Recorder()
    return CheckedSink("p", recorder, StoppedClock(7)), recorder


def test_labels_of_the_group_lie_under_those_of_the_target() -> None:
    """Each target gets the group's labels; its own win."""
    checked, recorder = sink()
    checked.publish([TargetGroup("s", [{"__address__": "a:1", "x": "own"}], {"x": "group", "y": "z"})])
    assert recorder.groups["s"] == ({"__address__": "a:1", "x": "own", "y": "z"},)
    assert (checked.stats.targets, checked.stats.groups, checked.stats.last_ms) == (1, 1, 7)


def test_only_changes_go_on() -> None:
    """After the first publish equal groups are dropped, and a publish of nothing new tells nobody."""
    checked, recorder = sink()
    one = TargetGroup.of_addresses("1", ["a:1"])
    two = TargetGroup.of_addresses("2", ["b:1"])
    checked.publish([one, two])
    checked.publish([one, TargetGroup.of_addresses("2", ["c:1"])])
    checked.publish([one])
    assert [sorted(groups) for groups, _ in recorder.calls] == [["1", "2"], ["2"]]
    assert [complete for _, complete in recorder.calls] == [True, False]
    assert checked.stats.unchanged == 1
    assert recorder.confirmed == ["p"]


def test_an_empty_first_publish_counts() -> None:
    """Nothing found is something to say: the receiver hears of it once."""
    checked, recorder = sink()
    checked.publish([])
    checked.publish([])
    assert recorder.calls == [({}, True)]
    assert checked.published


@pytest.mark.parametrize(
    "groups",
    [
        ["x"],
        [TargetGroup("")],
        [TargetGroup(5)],  # type: ignore[arg-type]  # no text
        [TargetGroup("s", [5])],  # type: ignore[list-item]  # no labels
        [TargetGroup("s", [{"a": 5}])],  # type: ignore[dict-item]  # no text
        [TargetGroup("s", [{5: "a"}])],  # type: ignore[dict-item]  # no name
        [TargetGroup("s", [{"": "a"}])],
        [TargetGroup("s", [{"a": "\ud800"}])],
        [TargetGroup("s", [], {"a": None})],  # type: ignore[dict-item]  # no text
        [TargetGroup("s"), TargetGroup("s")],
        [TargetGroup("s", [{f"l{n}": "x" for n in range(limits.LABELS_PER_TARGET_MAX + 1)}])],
        [TargetGroup("s", [{"a": "x" * (limits.LABEL_VALUE_BYTES_MAX + 1)}])],
        [TargetGroup("s", [{}] * (limits.TARGETS_PER_PUBLISH_MAX + 1))],
    ],
)
def test_what_breaks_the_contract_is_refused_whole(groups: list[TargetGroup]) -> None:
    """Wrong types, doubled sources and excess raise BadPublish, and nothing of the publish is taken."""
    checked, recorder = sink()
    with pytest.raises(BadPublish):
        checked.publish([TargetGroup.of_addresses("good", ["a:1"]), *groups])
    assert recorder.calls == []
    assert not checked.published


def test_the_cap_holds_over_many_publishes() -> None:
    """A discovery cannot creep over the cap group by group; what it had stays."""
    checked, recorder = sink()
    half = limits.TARGETS_PER_PUBLISH_MAX // 2
    targets = [{"__address__": "a"}] * half
    checked.publish([TargetGroup("1", targets), TargetGroup("2", targets)])
    with pytest.raises(BadPublish, match="targets in all"):
        checked.publish([TargetGroup("3", [{"__address__": "a"}])])
    checked.publish([TargetGroup("1"), TargetGroup("3", [{"__address__": "a"}])])
    assert set(recorder.groups) == {"2", "3"}


def test_later_changes_by_the_author_do_not_reach_us() -> None:
    """The sink copies labels: a mapping that is changed after its publish changes nothing."""
    checked, recorder = sink()
    labels = {"__address__": "a:1"}
    checked.publish([TargetGroup("s", [labels])])
    labels["__address__"] = "b:1"
    assert recorder.groups["s"][0]["__address__"] == "a:1"


group = st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from(["x:1", "y:1", "z:1"]), max_size=3))


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.lists(group, max_size=3, unique_by=lambda pair: pair[0]), max_size=8))
def test_the_receiver_knows_what_the_discovery_said(publishes: list[list[tuple[str, list[str]]]]) -> None:
    """For any sequence of publishes the receiver ends with the latest of each source, empty ones gone."""
    checked, recorder = sink()
    model: dict[str, list[str]] = {}
    for groups in publishes:
        checked.publish(TargetGroup.of_addresses(source, addresses) for source, addresses in groups)
        model.update(groups)
    known = {
        source: [labels["__address__"] for labels in targets] for source, targets in recorder.groups.items()
    }
    assert known == {source: addresses for source, addresses in model.items() if addresses}


def test_many_small_publishes_cost_what_they_say() -> None:
    """A publish costs what it names and not what is known: a source at a time, ten times as many cost ten times."""
    hub = Hub()
    hub.wire({"j": ["p"], **{f"other{number}": [f"q{number}"] for number in range(1000)}})

    def took_s(count: int) -> float:
        sink = CheckedSink("p", hub, StoppedClock())
        groups = [[TargetGroup.of_addresses(str(number), ["a:1"])] for number in range(count)]
        gc.disable()  # a collection looks at all that other tests left behind
        began_s = time.perf_counter()
        try:
            for group in groups:
                sink.publish(group)
            return time.perf_counter() - began_s
        finally:
            gc.enable()

    few_s = min(took_s(1000) for _ in range(3))
    assert (
        min(took_s(10_000) for _ in range(3)) < 40 * few_s
    )  # all groups copied at each would be a hundred times
    assert hub.counts()["j"] == 10_000


def test_checked_groups_are_taken_as_they_are() -> None:
    """Groups checked before, in a thread, give the same as those that are checked at the publish."""
    groups = [TargetGroup("s", [{"__address__": "a:1"}, {"x": "y"}], {"x": "z"}), TargetGroup("gone")]
    one, two = Recorder(), Recorder()
    CheckedSink("p", one, StoppedClock()).publish(groups)
    CheckedSink("p", two, StoppedClock()).publish(check_groups(groups))
    assert one.calls == two.calls
    with pytest.raises(BadPublish, match="twice"):
        check_groups([TargetGroup("s"), TargetGroup("s")])


@pytest.mark.parametrize(
    "labels",
    [
        {"a": 1},
        {1: "a"},
        {"": "a"},
        {"a" * 20_000: "b"},
        {"a": "b" * 300_000},
        {"a": "\ud800"},
        {"\ud800": "a"},
    ],
)
def test_one_bad_label_among_good_ones_is_refused(labels: dict[str, str]) -> None:
    """A label that is no text, has no name, is too long or no UTF-8 is found among others."""
    good = {f"label{number}": "value" for number in range(20)}
    with pytest.raises(BadPublish):
        check_groups([TargetGroup("s", [{**good, **labels}])])


def test_long_labels_that_are_allowed_pass() -> None:
    """Labels that are long together, but each within its limit, are taken."""
    labels = {f"{'n' * 10_000}{number}": "v" * 200_000 for number in range(3)}
    assert check_groups([TargetGroup("s", [labels])]).by_source["s"] == (labels,)


def test_groups_without_targets_have_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A discovery that names groups without end is refused as soon as they are too many."""
    monkeypatch.setattr(limits, "GROUPS_PER_PUBLISH_MAX", 10)
    endless = (TargetGroup(str(number)) for number in itertools.count())
    with pytest.raises(TooManyTargets, match="more than 10 groups without targets in one publish"):
        check_groups(endless)
    assert next(endless).source == "11"
