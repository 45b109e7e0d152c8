"""Relabel rules, one fact each; and targets, which are made by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.errors import UserError
from trimon.model.relabel import REMEMBERED_MAX, Relabeling, RelabelRule
from trimon.scrape.options import PoolOptions
from trimon.scrape.target import DroppedTarget, Target, build_target


@dataclass(frozen=True)
class Config:
    """A relabel_config with Prometheus' defaults."""

    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    regex: str = "(.*)"
    modulus: int = 0
    target_label: str = ""
    replacement: str = "$1"
    action: str = "replace"


LABELS = {"a": "foo", "b": "bar", "c": "baz"}

CASES = [
    (
        Config(("a",), regex="f(.*)", target_label="d", replacement="ch${1}-ch${1}"),
        LABELS | {"d": "choo-choo"},
    ),
    (
        Config(("a", "b"), regex="(f).*;(.*)r", target_label="a", replacement="b${1}${2}m"),
        LABELS | {"a": "bfbam"},
    ),
    (Config(("a",), regex=".*b.*", action="drop"), LABELS),
    (Config(("a",), regex="f|b", action="keep"), None),
    (Config(("a",), regex="no-match", target_label="d"), LABELS),
    (Config(("a",), regex=".*", target_label="a", replacement=""), {"b": "bar", "c": "baz"}),
    (Config(("a",), target_label="d", replacement="$1_x"), LABELS),
    (Config(("a",), target_label="d", replacement="$$1"), LABELS | {"d": "$1"}),
    (Config(("a",), regex="(?P<w>.).*", target_label="d", replacement="${w}"), LABELS | {"d": "f"}),
    (Config(("c",), modulus=1000, target_label="d", action="hashmod"), LABELS | {"d": "976"}),
    (Config(regex="(b.*)", replacement="bar_${1}", action="labelmap"), LABELS | {"bar_b": "bar"}),
    (Config(regex="b(.*)", replacement="${1}", action="labelmap"), LABELS),
    (Config(regex="(b.*)", action="labeldrop"), {"a": "foo", "c": "baz"}),
    (Config(regex="(b.*)", action="labelkeep"), {"b": "bar"}),
    (Config(("a",), target_label="d", action="uppercase"), LABELS | {"d": "FOO"}),
    (Config(("a",), target_label="b", action="keepequal"), None),
    (Config(("a",), target_label="b", action="dropequal"), LABELS),
    (Config(("zz",), regex="", target_label="d", replacement="x"), LABELS | {"d": "x"}),
    (Config(("a",), target_label="${1}", replacement="v"), LABELS | {"foo": "v"}),
]


@pytest.mark.parametrize(("config", "expected"), CASES)
def test_rule(config: Config, expected: dict[str, str] | None) -> None:
    """A rule makes of `a=foo b=bar c=baz` what Prometheus makes of it; None is a drop."""
    labels = dict(LABELS)
    kept = Relabeling([config]).apply(labels)
    assert (labels if kept else None) == expected


def test_steps_stop_at_a_drop() -> None:
    """The steps show each rule's output, and after a drop nothing."""
    rules = [
        Config(("a",), target_label="d"),
        Config(("a",), regex="foo", action="drop"),
        Config(target_label="e"),
    ]
    steps = Relabeling(rules).steps({"a": "foo"}, 1000, 1000)
    assert [step.keep for step in steps] == [True, False, False]
    assert dict(steps[0].labels) == {"a": "foo", "d": "foo"}
    assert steps[2].labels == ()


def target(discovered: dict[str, str], **options: Any) -> Target | DroppedTarget:
    return build_target(discovered, PoolOptions("j", **options))


def test_target_url_and_labels() -> None:
    """Address, path and parameters make the URL; internal labels go, instance is the address."""
    made = target(
        {"__address__": "h:80", "zone": "eu", "__param_m": "b c"}, params=(("m", ("a",)), ("k", ("v",)))
    )
    assert isinstance(made, Target)
    assert made.url == "http://h:80/metrics?k=v&m=b+c"
    assert dict(made.labels) == {"instance": "h:80", "job": "j", "zone": "eu"}


def test_target_key_is_stable_and_distinct() -> None:
    """The key depends on labels and URL and on nothing else, so a scrape group survives a restart."""
    first, again, other = (target({"__address__": a}) for a in ("h:1", "h:1", "h:2"))
    assert isinstance(first, Target)
    assert isinstance(other, Target)
    assert first == again
    assert first.key != other.key
    assert 0 <= first.offset_ms(7) < first.interval_ms


@pytest.mark.parametrize(
    ("discovered", "message"),
    [
        ({"x": "y"}, "no address"),
        ({"__address__": "http://h/x"}, '"http://h/x" is not a valid hostname'),
        ({"__address__": "h", "__scrape_interval__": "0s"}, "scrape interval cannot be 0"),
        ({"__address__": "h", "__scrape_interval__": "x"}, "error parsing scrape interval"),
        ({"__address__": "h", "__scrape_timeout__": "2m"}, "scrape timeout cannot be greater"),
    ],
)
def test_bad_targets(discovered: dict[str, str], message: str) -> None:
    """What cannot be scraped is refused with Prometheus' words."""
    with pytest.raises(UserError, match=message):
        target(discovered)


def test_dropped_by_relabeling() -> None:
    """A dropped target keeps what was discovered, for the page that explains it."""
    dropped = target({"__address__": "h"}, relabeling=Relabeling([Config(("__address__",), action="drop")]))
    assert isinstance(dropped, DroppedTarget)
    assert ("__address__", "h") in dropped.discovered


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "", "x" * 300]), max_size=50),
    st.sampled_from(["replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep"]),
)
def test_what_a_rule_remembers_changes_nothing(values: list[str], action: str) -> None:
    """A rule that has seen values, and one that forgets at once, do what a fresh one does."""
    config = Config(
        source_labels=("v",), regex="(a.*)|v", action=action, target_label="t", replacement="r_$1"
    )
    seen, forgetful = RelabelRule(config), RelabelRule(config)
    for value in values:
        forgetful._is_match._known = forgetful._mapped._known = forgetful._replaced._known = None
        results = []
        for rule in (seen, forgetful, RelabelRule(config)):
            labels = {"v": value, "k": "1"}
            results.append((rule.apply(labels), labels))
        assert results[0] == results[1] == results[2]


def test_a_rule_stops_remembering_what_never_comes_again() -> None:
    """Values that differ each time are forgotten for good; names that come again are kept."""
    rule = RelabelRule(Config(source_labels=("v",), regex="a.*", action="keep"))
    for number in range(REMEMBERED_MAX + 2):
        rule.apply({"v": f"a{number}"})
    assert rule._is_match._known is None
    rule = RelabelRule(Config(regex="a.*", action="labeldrop"))
    for number in range(REMEMBERED_MAX + 2):
        rule.apply({"a": "1", "b": "1", f"c{number % 10}": "1"})
    assert rule._is_match._known is not None
