"""The loops over lines of an exposition, against Python's own reading and the twins beside their callers."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trimon.compiled import library
from trimon.scrape.exposition.alignment import MatchedLines, match_lines, match_lines_plain
from trimon.scrape.exposition.bodymemory import BLANK, DROPPED, REMARK, KnownLines
from trimon.scrape.exposition.changedlines import gather_plain
from trimon.scrape.exposition.families import BodyFamilies
from trimon.scrape.exposition.samelines import OddLines, same_lines, same_lines_plain

pytestmark = pytest.mark.skipif(bool(library.MISSING), reason=library.MISSING or "built")


def known_lines(heads: list[bytes], dropped: frozenset[int] = frozenset()) -> KnownLines:
    """The memory of lines of which those are remarks that are no heads of samples."""
    slots, count = [], 0
    for place, head in enumerate(heads):
        is_remark = head == BLANK or head.startswith(b"#")
        slots.append(REMARK if is_remark else DROPPED if place in dropped else count)
        count += slots[-1] >= 0
    return KnownLines.of_heads(BodyFamilies(), heads, np.array(slots, np.int64), np.arange(count))


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def read_alone(tail: bytes) -> float | None:
    """What the loop reads behind a head; None where it leaves that to Python."""
    same = same_lines(known_lines([b"m "]), b"m " + tail)
    assert same is not None
    values, odd = same
    assert odd in ([], [[0, 2, 2 + len(tail)]])
    return None if odd else float(values[0])


DECIMALS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.tuples(st.integers(0, 10**19), st.integers(-45, 45)).map(lambda n: f"{n[0]}e{n[1]}"),
    st.from_regex(r"[+-]?[0-9]{0,12}\.?[0-9]{0,12}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    # halfway between two doubles, and a little beside
    st.tuples(st.integers(2**52, 2**53 - 1), st.integers(0, 9), st.integers(-1, 1)).map(
        lambda n: str((2 * n[0] + 1) * 2 ** n[1] + n[2])
    ),
    st.tuples(st.integers(2**52, 2**53 - 1), st.integers(1, 10)).map(
        lambda n: f"{(2 * n[0] + 1) * 5 ** n[1]}e-{n[1]}"[:60]
    ),
)


@settings(max_examples=400, deadline=None)
@given(DECIMALS)
@example("9007199254740993")
@example("9007199254740993e-5")
@example("17179869184.000000001")
@example("0.30000000000000004")
@example("1.7976931348623157e308")
@example("-0")
@example("00000000000000000000000000000012.5")
@example("9999999999999999999e27")
@example("1e-27")
@example(".")
@example("-")
@example("1e")
@example("")
def test_a_number_is_what_python_reads_to_the_bit(text: str) -> None:
    """Whatever the loop reads is what float() makes of it; what is none it leaves alone."""
    value = read_alone(text.encode())
    if value is not None:
        assert bits(value) == bits(float(text))


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "1",
        "-1.5",
        "1e6",
        "1.7243e+09",
        "0.1",
        "123456789.125",
        "3.141592653589793",
        "4.2e-05",
        "+7",
        "1.",
        ".5",
    ],
)
def test_usual_numbers_are_read_by_the_loop(text: str) -> None:
    """What clients print most often does not take the long way."""
    value = read_alone(text.encode())
    assert value is not None
    assert bits(value) == bits(float(text))


@pytest.mark.parametrize(
    "tail",
    [
        b"NaN",
        b"+Inf",
        b"0x10",
        b"1_0",
        b"1 ",
        b" 1",
        b"1\r",
        b"1\0",
        b"1 1700000000000",
        b"12345678901234567890",
        b"1e-400",
    ],
)
def test_what_is_no_plain_decimal_is_left_to_python(tail: bytes) -> None:
    """Words, other notations, blanks, timestamps, and numbers with more digits than fit."""
    assert read_alone(tail) is None


HEADS = [f"a{i} ".encode() for i in range(9)] + [b'b{x="1"} ', b'b{x="12"} ', b"# x", b"# xy", BLANK]
LINES = [
    *(f"a{i} {i}.5".encode() for i in range(11)),
    *(
        b"a1 NaN",
        b"a2  2",
        b"a3 3 17",
        b'b{x="1"} 7',
        b'b{x="12"} 0.25',
        b'b{x="3"} 1',
        b"# x",
        b"# xy",
        b"# xyz",
        b"",
        b" ",
    ),
]


def numbers(values: np.ndarray, odd: OddLines, body: bytes, places: list[int]) -> list[bytes | float]:
    """By line the number, or what is still to be read."""
    late = {place: body[begin:end] for place, begin, end in odd}
    return [late.get(place, float(value)) for place, value in zip(places, values.tolist(), strict=True)]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(HEADS), min_size=1, max_size=12), st.sets(st.integers(0, 11)), st.data())
def test_same_lines_are_those_of_the_twin(heads: list[bytes], dropped: set[int], data: st.DataObject) -> None:
    """Both find the same bodies unchanged, and the same numbers in them; what only one reads is a number for the other."""
    known = known_lines(heads, frozenset(dropped))
    tails = st.sampled_from([b"1", b"2.5", b"NaN", b"1 17", b"", b"1e5", b"x"])
    lines = [
        b"" if head == BLANK else head if head.startswith(b"#") else head + data.draw(tails) for head in heads
    ]
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(lines)))
        change = data.draw(st.sampled_from(["insert", "delete", "end"]))
        if change == "insert":
            lines.insert(place, data.draw(st.sampled_from(LINES)))
        elif change == "delete":
            del lines[place:]
        else:
            lines.append(b"")
    body = b"\n".join(lines)
    quick, plain = same_lines(known, body), same_lines_plain(known, body)
    assert (quick is None) == (plain is None)
    if quick is None or plain is None:
        return
    by_slot = np.flatnonzero(known.slots >= 0).tolist()
    mine, theirs = (numbers(*each, body, by_slot) for each in (quick, plain))
    for one, other in zip(mine, theirs, strict=True):
        if isinstance(one, bytes) or isinstance(other, bytes):
            assert isinstance(one, float) or one == other
            other = float(other) if isinstance(one, float) else other
        assert one == other
    refused = {place for place, *_ in quick[1]} - {place for place, *_ in plain[1]}
    assert not refused


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(HEADS), unique=True), st.lists(st.sampled_from(LINES), min_size=1))
def test_matched_lines_begin_with_their_heads(heads: list[bytes], lines: list[bytes]) -> None:
    """What is paired fits; every line with only a number behind a known head is found; the twin agrees on all of that."""
    known, body = known_lines(heads), b"\n".join(lines)
    for matched in (match_lines(known, body), match_lines_plain(known, body)):
        check(matched, heads, lines, body)


def check(matched: MatchedLines, heads: list[bytes], lines: list[bytes], body: bytes) -> None:
    odd = {place: body[begin:end] for place, begin, end in matched.odd}
    begins, stops, values = matched.begins.tolist(), matched.stops.tolist(), matched.values.tolist()
    given_out = {heads[place] for place in matched.origin.tolist() if place >= 0}
    for place, (line, origin) in enumerate(zip(lines, matched.origin.tolist(), strict=True)):
        assert body[begins[place] : begins[place] + len(line)] == line
        head = body[begins[place] : stops[place]]
        if origin < 0:
            if head:
                assert head == line[: line.rfind(b" ") + 1]
                assert bits(values[place]) == bits(float(line.removeprefix(head)))
            if lines.count(line) == 1 and not line.startswith(b"#"):
                assert line[: line.rfind(b" ") + 1] not in set(heads) - given_out - {BLANK}
            continue
        assert head == (heads[origin] if heads[origin] != BLANK else b"")
        if head and not head.startswith(b"#"):
            tail = line.removeprefix(head)
            assert odd[place] == tail if place in odd else bits(values[place]) == bits(float(tail))
        else:
            assert line == head
            assert place not in odd


@given(st.binary(max_size=60), st.data())
def test_pieces_are_gathered_as_the_twin_does(body: bytes, data: st.DataObject) -> None:
    """The texts of lines, one behind the other."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=20)))
    cuts = cuts[: len(cuts) // 2 * 2]
    begins, stops = np.array(cuts[::2], np.int32), np.array(cuts[1::2], np.int32)
    text, ends = gather_plain(body, begins, stops)
    gather = library.function(
        "trimon_gather",
        library.INT64,
        (
            library.BYTES,
            library.INT64,
            *[library.ADDRESS] * 2,
            library.INT64,
            library.ADDRESS,
            library.INT64,
            library.ADDRESS,
        ),
    )
    assert gather is not None
    out, found = np.zeros(len(text) + 1, np.uint8), np.zeros(len(begins), np.int32)
    address = begins.ctypes.data, stops.ctypes.data
    used = gather(body, len(body), *address, len(begins), out.ctypes.data, len(text), found.ctypes.data)
    assert used == len(text)
    assert out[:used].tobytes() == text.tobytes()
    assert found.tolist() == ends.tolist()
    assert not out[used]
    if len(text):
        assert (
            gather(body, len(body), *address, len(begins), out.ctypes.data, len(text) - 1, found.ctypes.data)
            == -1
        )


def test_a_zero_keeps_its_sign() -> None:
    """Minus zero is another sample than zero."""
    value = read_alone(b"-0.0")
    assert value is not None
    assert math.copysign(1.0, value) == -1.0


def test_a_million_equal_comments_are_found_in_one_pass() -> None:
    """Looking up a line that moved costs no more where all others have one text: with a place for each it would take hours."""
    count = 1_000_000
    known = known_lines([b"a ", *[b"# same"] * count, b"b "])
    matched = match_lines(known, b"b 2\nnew 5\n" + b"# same\n" * count + b"a 1")
    assert matched.origin[:2].tolist() == [count + 1, -1]
    assert matched.origin[-1] == 0
    assert (known.slots[matched.origin[2:-1]] == REMARK).all()
