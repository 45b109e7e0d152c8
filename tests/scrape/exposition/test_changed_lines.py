"""Bodies whose lines move, appear and vanish, against reading each of them from scratch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trimon.model.labels import Labels
from trimon.scrape.exposition import changedlines
from trimon.scrape.exposition import layout as layout_module
from trimon.scrape.exposition.alignment import Alignment
from trimon.scrape.exposition.bodymemory import BLANK, NOTHING, BrokenBody, Places
from trimon.scrape.exposition.families import BodyFamily
from trimon.scrape.exposition.layout import BodyLayout
from trimon.scrape.exposition.openmetrics import OpenMetricsFormat
from trimon.scrape.exposition.pairtexts import read_series
from trimon.scrape.exposition.textformat import ExpositionFormat, TextFormat
from trimon.scrape.options import PoolOptions
from trimon.scrape.series_labels import SeriesLabels

TARGET = (("instance", "i"), ("job", "j"))


class Follower:
    """Keeps labels by slot as a session does, so that readings can be compared as label sets."""

    def __init__(self, text_format: ExpositionFormat, honor_timestamps: bool) -> None:
        self.layout = BodyLayout(
            text_format, SeriesLabels(TARGET, PoolOptions("j")), honor_timestamps=honor_timestamps
        )
        self.labels: list[Labels] = []

    def read(self, body: bytes) -> tuple[object, ...]:
        """All that a body says, in a form that compares; or that it is bad."""
        try:
            reading = self.layout.read(body)
        except BrokenBody as error:
            self.layout.failed(error.slots)
            self.labels = [self.labels[slot] for slot in error.slots.tolist()]
            return str(error), error.samples, error.kept
        if reading.moved:
            old_slots = reading.old_slot.tolist()
            known = [old for old in old_slots if old >= 0]
            assert len(set(known)) == len(known)
            new = iter(reading.new_labels)
            self.labels = [self.labels[old] if old >= 0 else next(new) for old in old_slots]
            assert next(new, None) is None
        assert len(set(self.labels)) == len(self.labels) == len(reading.values) == self.layout.slots
        values = {
            labels: "nan" if math.isnan(value) else value
            for labels, value in zip(self.labels, reading.values.tolist(), strict=True)
        }
        return values, sorted(reading.timed), reading.samples, reading.duplicates, reading.repeats


REMARKS = [
    "# HELP m1 first",
    "# HELP m1 second",
    "# TYPE m1 gauge",
    "# TYPE m1 counter",
    "# TYPE m2 gauge",
    "",
    " ",
]
# what may follow a head: most often a number, seldom something that a plain number is not
TAILS = ["{}"] * 12 + [
    "{} ",
    " {}",
    "{}\r",
    "{} 1700000000000",
    "NaN",
    "+Inf",
    "{}x",
    '{} # {{t="x"}} 1',
    "{}.5e3",
]


@st.composite
def sequences(draw: st.DrawFn) -> tuple[bool, list[bytes]]:
    """Bodies that each grew out of the one before, in one of the two formats."""
    openmetrics = draw(st.booleans())
    remarks = [remark for remark in REMARKS if not openmetrics or remark.strip()]
    order: list[int | str] = [*range(24)]
    fresh = iter(range(100, 10_000))
    bodies = []
    for _ in range(draw(st.integers(2, 5))):
        for _ in range(draw(st.integers(0, 6))):
            place = draw(st.integers(0, len(order)))
            count = draw(st.sampled_from([1, 1, 1, 2, 5, 9]))
            kind = draw(
                st.sampled_from(["new", "new", "gone", "gone", "move", "renamed", "remark", "twice", "turn"])
            )
            if kind == "new":
                order[place:place] = [next(fresh) for _ in range(count)]
            elif kind == "gone":
                del order[place : place + count]
            elif kind == "renamed":
                order[place : place + count] = [next(fresh) for _ in order[place : place + count]]
            elif kind == "move":
                taken = order[place : place + count]
                del order[place : place + count]
                to = draw(st.integers(0, len(order)))
                order[to:to] = taken
            elif kind == "turn":
                order[place : place + count] = order[place : place + count][::-1]
            elif kind == "remark":
                order.insert(place, draw(st.sampled_from(remarks)))
            elif order and draw(st.integers(0, 3)) == 0:
                order.insert(place, draw(st.sampled_from(order)))
        odd = draw(st.integers(0, max(0, 3 * len(order))))
        lines = []
        for place, entry in enumerate(order):
            if isinstance(entry, str):
                lines.append(entry)
                continue
            tail = draw(st.sampled_from(TAILS)) if place == odd else "{}"
            lines.append(f'm{entry % 5}{{n="{entry}"}} {tail.format(draw(st.integers(0, 99)))}')
        if openmetrics:
            lines.append("# EOF")
        bodies.append("\n".join(lines).encode() + b"\n")
    return openmetrics, bodies


@settings(max_examples=400, deadline=None)
@given(sequences(), st.booleans())
def test_changed_bodies_are_read_as_new_ones(sequence: tuple[bool, list[bytes]], honor: bool) -> None:
    """Values, counts and errors are those of a fresh layout, whatever changed since the body before."""
    openmetrics, bodies = sequence

    def text_format() -> ExpositionFormat:
        return OpenMetricsFormat() if openmetrics else TextFormat()

    remembering = Follower(text_format(), honor)
    for body in bodies:
        assert remembering.read(body) == Follower(text_format(), honor).read(body)


@settings(max_examples=500)
@example([b"a0 ", b"a1 "], [b"a1 1", b"a1  1"])
@given(
    st.lists(st.sampled_from([f"a{i} ".encode() for i in range(12)] + [b"# x", BLANK]), unique=True),
    st.lists(st.sampled_from([f"a{i} 1".encode() for i in range(14)] + [b"# x", b"# xy", b"", b"a1  1"])),
)
def test_lines_begin_with_the_head_they_are_given(heads: list[bytes], lines: list[bytes]) -> None:
    """What is aligned fits, and every line that has only a number behind a known head, which no other has, is found."""
    aligned = Alignment(heads, lines)
    taken = {heads[place] for place in aligned.origin.tolist() if place >= 0}
    for line, place, head in zip(lines, aligned.origin.tolist(), aligned.heads, strict=True):
        if place >= 0:
            assert line.startswith(head)
            assert head == heads[place]
        elif lines.count(line) == 1:
            # a line with two blanks may have the head of another
            assert line[: line.rfind(b" ") + 1] not in set(heads) - taken


def body(names: Sequence[str], value: int) -> bytes:
    return "".join(f'm{{n="{name}"}} {value}\n' for name in names).encode()


@pytest.mark.parametrize(
    "change", ["front", "back", "middle", "scattered", "gone", "renamed", "turned", "moved"]
)
def test_a_plain_change_parses_only_what_is_new(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known lines are never parsed again, and no plain change is read line by line."""
    names = [f"s{index}" for index in range(500)]
    new = [f"new{index}" for index in range(12)]
    changed = {
        "front": [*new, *names],
        "back": [*names, *new],
        "middle": [*names[:250], *new, *names[250:]],
        "scattered": [name for place in range(12) for name in (new[place], *names[place * 42 : place * 42 + 42])],
        "gone": names[:100] + names[110:400] + names[401:],
        "renamed": [new[index // 42] if index % 42 == 0 else name for index, name in enumerate(names)],
        "turned": names[::-1],
        "moved": [*names[300:400], *names[:300], *names[400:]],
    }[change]  # fmt: skip
    parsed = 0

    def counting(body: bytes, begins: Places, *others: Any) -> Any:
        nonlocal parsed
        parsed += len(begins)
        return read_series(body, begins, *others)

    follower = Follower(TextFormat(), honor_timestamps=True)
    follower.read(body(names, 1))
    monkeypatch.setattr(changedlines, "read_series", counting)
    monkeypatch.setattr(changedlines, "_parse_each", None)
    monkeypatch.setattr(layout_module, "LineByLine", None)
    values, *_ = follower.read(body(changed, 2))
    assert isinstance(values, dict)
    assert [dict(labels)["n"] for labels in values] == changed
    assert parsed == len(set(changed) - set(names))


def test_families_that_are_not_shown_any_more_are_let_go() -> None:
    """Metadata is that of the last body that said it, for ten scrapes after the last one that did."""
    layout = Follower(TextFormat(), honor_timestamps=True).layout
    layout.read(b"# HELP a one\n# TYPE a gauge\na 1\n# TYPE b counter\nb 1\n")
    assert layout.families == {"a": BodyFamily("gauge", "one"), "b": BodyFamily("counter")}
    layout.read(b"# HELP a two\na 2\nb 1\n")
    assert layout.families == {"a": BodyFamily("gauge", "two"), "b": BodyFamily("counter")}
    for _ in range(9):
        layout.read(b"# HELP a two\na 2 1700000000000\nb 1\n")
    assert "b" in layout.families
    layout.failed(NOTHING)
    layout.read(b"# HELP a two\na 2\n")
    assert layout.families == {"a": BodyFamily("gauge", "two")}


def test_a_type_counts_from_its_line_on() -> None:
    """A new bucket above the type of its histogram keeps `le` as it is, one below has it as a float."""
    layout = Follower(TextFormat(), honor_timestamps=True).layout
    plain = [f"m{index} 1" for index in range(20)]
    layout.read("\n".join([*plain, "# TYPE h histogram", 'h_bucket{le="1"} 1']).encode())
    changed = ['h_bucket{le="2"} 1', *plain, "# TYPE h histogram", 'h_bucket{le="1"} 1', 'h_bucket{le="3"} 1']
    reading = layout.read("\n".join(changed).encode())
    assert [dict(labels)["le"] for labels in reading.new_labels] == ["2", "3.0"]


def test_exemplars_do_not_make_a_series_new() -> None:
    """A line with an exemplar that moved is the series it was."""
    layout = Follower(OpenMetricsFormat(), honor_timestamps=True).layout
    lines = [f'a_total{{n="{index}"}} 1 # {{t="x{index}"}} 1' for index in range(40)]
    layout.read("\n".join([*lines, "# EOF"]).encode())
    for changed in ([*lines[20:], *lines[:20]], ["new 1", *lines], [*lines[30:], "new2 1 2", *lines[:30]]):
        reading = layout.read("\n".join([*changed, "# EOF"]).encode())
        assert sum(old < 0 for old in reading.old_slot.tolist()) == sum(line == "new 1" for line in changed)


def test_a_bad_line_leaves_the_layout_as_it_was() -> None:
    """After a body with an error in a new line or in a known one, the next good body finds the series above it."""
    names = [f"s{index}" for index in range(30)]
    for bad, whole in (
        (body([*names, "new"], 2) + b"x{\n", 30),
        (body(["new", *names], 2).replace(b'"s7"} 2', b'"s7"} two'), 7),
    ):
        layout = Follower(TextFormat(), honor_timestamps=True).layout
        layout.read(body(names, 1))
        with pytest.raises(BrokenBody) as failed:
            layout.read(bad)
        assert failed.value.slots.tolist() == list(range(whole))
        layout.failed(failed.value.slots)
        reading = layout.read(body(names, 3))
        assert reading.old_slot.tolist() == [*range(whole), *[-1] * (30 - whole)]
        assert reading.added == 0
