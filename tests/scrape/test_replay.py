"""A kept body under other rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
import zstandard

from trimon.config.relabel import RelabelConfig
from trimon.errors import UserError
from trimon.model.relabel import Relabeling
from trimon.redaction import REDACTOR
from trimon.scrape.options import PoolOptions
from trimon.scrape.records import KeptBody
from trimon.scrape.replay import Replay, replay, tried
from trimon.scrape.target import Target, build_target

OPTIONS = PoolOptions(
    "j", metric_relabeling=Relabeling((RelabelConfig(source_labels=("__name__",), regex="a", action="drop"),))
)


def made() -> Target:
    target = build_target({"__address__": "h:1"}, OPTIONS)
    assert isinstance(target, Target)
    return target


def played(body: bytes, *rules: RelabelConfig, late: bool = False, most: int = 10) -> Replay:
    kept = KeptBody(
        1_700_000_000_000, "text/plain; version=0.0.4", zstandard.ZstdCompressor().compress(body), "zstd"
    )
    return replay(made(), OPTIONS, kept, Relabeling(rules), examples_max=most, is_late=lambda: late)


def test_what_rules_would_change_is_counted_and_shown() -> None:
    """Dropped, gained, renamed and merged series are told apart, with examples of those that differ."""
    found = played(
        b'a 1\nb{x="1"} 2\nb{x="2"} 3\nc 4 1700000000000\n',
        RelabelConfig(source_labels=("__name__",), regex="c", action="drop"),
        RelabelConfig(regex="x", action="labeldrop"),
    )
    assert (found.series, found.kept_now, found.kept_then) == (4, 3, 3)
    assert (found.dropped, found.gained, found.changed, found.collisions, found.invalid) == (1, 1, 2, 1, 0)
    shown = {dict(one.exposed)["__name__"] + dict(one.exposed).get("x", ""): one for one in found.examples}
    assert shown.keys() == {"a", "b1", "b2", "c"}
    assert shown["a"].now is None
    assert shown["c"].then is None
    assert dict(shown["b1"].then or ())["instance"] == "h:1"


def test_the_rules_of_the_job_change_nothing() -> None:
    """Without a difference there are no examples; no more of them are made than asked for."""
    rule = RelabelConfig(source_labels=("__name__",), regex="a", action="drop")
    assert played(b"a 1\nb 2\n", rule).examples == ()
    assert (
        len(played(b"a 1\nb 2\nc 3\n", RelabelConfig(target_label="y", replacement="z"), most=2).examples)
        == 2
    )


def test_series_that_lose_their_name_are_counted() -> None:
    """A rule that removes the name makes the scrape fail: that is said before."""
    assert played(b"a 1\nb 2\n", RelabelConfig(regex="__name__", action="labeldrop")).invalid == 2


def test_a_body_is_tried_by_other_options() -> None:
    """Limits hold, rules are bounded, time is; a body with a credential is not tried."""
    body = b'a{x="secret-of-ours-1"} 1\nb 2\n'
    kept = KeptBody(1000, "text/plain; version=0.0.4", zstandard.ZstdCompressor().compress(body), "zstd")
    options = PoolOptions(job="j")
    found = tried(made(), options, kept, lambda: False)
    assert found is not None
    assert (found.health, found.series) == ("up", 2)
    found = tried(made(), replace(options, sample_limit=1), kept, lambda: False)
    assert found is not None
    assert (found.health, found.last_error) == ("down", "sample limit exceeded")
    assert tried(made(), options, kept, lambda: True) is None
    doubling = RelabelConfig(source_labels=("x", "x"), separator="", target_label="x")
    grown = Relabeling((RelabelConfig(target_label="x", replacement="a" * 1000), *[doubling] * 30))
    with pytest.raises(UserError):
        tried(made(), replace(options, metric_relabeling=grown), kept, lambda: False)
    REDACTOR.add("secret-of-ours-1")
    assert tried(made(), options, kept, lambda: False) is None


def test_a_bad_body_and_long_work_are_refused() -> None:
    """A body that cannot be read says why; rules that take too long are given up."""
    with pytest.raises(UserError, match="the body cannot be read"):
        played(b"a{ 1\n")
    with pytest.raises(UserError, match=r"deadline|too long"):
        played(b"a 1\n" * 2000, late=True)


def test_rules_that_grow_labels_are_stopped() -> None:
    """Nine rules that each make a label eight times as long are refused before the label is made."""
    rule = RelabelConfig(
        source_labels=("l", "l"), target_label="l", separator="x" * 8, replacement="$1$1$1$1"
    )
    with pytest.raises(UserError, match="at most 262144"):
        played(b'a{l="x"} 1\n', *[rule] * 12)
    long = RelabelConfig(regex="(.*)", action="labelmap", replacement="$1" * 100_000)
    with pytest.raises(UserError, match="at most 262144"):
        played(b"a 1\n", long)


def test_rules_see_no_credentials() -> None:
    """What a rule matches tells nothing of a credential: it stands in the labels as it does in the body."""
    REDACTOR.add("hunter2-hunter2")
    try:
        body = b'a{pw="hunter2-hunter2"} 1\n'
        guess = RelabelConfig(source_labels=("pw",), regex="hunter2.*", action="drop")
        found = played(body, guess)
        assert (found.dropped, found.gained) == (0, 1)
        assert "hunter2" not in repr(found)
    finally:
        REDACTOR.forget()
