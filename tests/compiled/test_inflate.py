"""The loop that gunzips what targets usually answer, against zlib, which reads everything else."""

from __future__ import annotations

import gzip
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.compiled import library
from trimon.fetch.inflater import INFLATED_BYTES_AT_ONCE, Inflater, checksum_of, gunzipped

pytestmark = pytest.mark.skipif(bool(library.MISSING), reason=library.MISSING or "built")

TEXT = "".join(
    f'a_metric_total{{path="/{place % 7}",code="{place}"}} {place * place}\n' for place in range(400)
).encode()
CONTENTS = st.one_of(
    st.binary(max_size=300),
    st.integers(0, len(TEXT)).map(lambda size: TEXT[:size]),
    st.lists(st.sampled_from([b"a", b"ab", b"abc" * 9, b"x" * 300, b"0123456789"]), max_size=60).map(
        b"".join
    ),
    st.binary(min_size=1, max_size=40).map(lambda piece: piece * 200),
)
STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)


def packed(
    contents: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY, flushed: int = -1
) -> bytes:
    """One member; flushed within where `flushed` is a place."""
    member = zlib.compressobj(level, zlib.DEFLATED, 31, 8, strategy)
    if flushed < 0:
        return member.compress(contents) + member.flush()
    begin = member.compress(contents[:flushed]) + member.flush(zlib.Z_FULL_FLUSH)
    return begin + member.compress(contents[flushed:]) + member.flush()


@settings(max_examples=800, deadline=None)
@given(CONTENTS, st.integers(1, 9), st.sampled_from(STRATEGIES), st.integers(-1, 200))
def test_what_is_gunzipped_is_what_was_packed(
    contents: bytes, level: int, strategy: int, flushed: int
) -> None:
    """All of it to the byte, or it is left to zlib."""
    assert gunzipped(packed(contents, level, strategy, flushed), 10**6) in (contents, None)


def test_a_usual_body_is_gunzipped_by_the_loop() -> None:
    """A text of some thousand bytes as the usual packers pack it."""
    for level in range(1, 10):
        assert gunzipped(packed(TEXT, level), 10**6) == TEXT


@settings(max_examples=1500, deadline=None)
@given(CONTENTS, st.data())
def test_a_damaged_body_is_never_taken(contents: bytes, data: st.DataObject) -> None:
    """Where a byte differs, is missing or is one too many, the loop gives what zlib gives, or nothing."""
    body = bytearray(packed(contents))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        change = data.draw(st.sampled_from(["flip", "cut", "grow", "drop"]))
        if change == "flip":
            body[place] ^= 1 << data.draw(st.integers(0, 7))
        elif change == "cut":
            del body[place + 1 :]
        elif change == "grow":
            body.insert(place, data.draw(st.integers(0, 255)))
        elif len(body) > 1:
            del body[place]
    found = gunzipped(bytes(body), 10**6)
    if found is not None:
        inflater = Inflater()
        assert inflater.feed(bytes(body), 10**6) == found
        inflater.end()


@settings(max_examples=300, deadline=None)
@given(CONTENTS, st.integers(0, 40))
def test_nothing_is_written_behind_the_room(contents: bytes, less: int) -> None:
    """Whatever room the loop is told of, and however long the body is, the bytes behind it stay as they are."""
    loop = library.function(
        "trimon_gunzip", library.INT64, (library.BYTES, library.INT64, library.ADDRESS, library.INT64)
    )
    assert loop is not None
    body, room = packed(contents), max(len(contents) - less, 0)
    out = np.full(room + 300, 0xA5, np.uint8)
    found = loop(body, len(body), out.ctypes.data, room)
    assert found in (-1, room)
    assert (out[room:] == 0xA5).all()
    if found == room:
        assert out[:room].tobytes() == contents


@pytest.mark.parametrize(
    "body",
    [
        packed(TEXT) + packed(TEXT),
        gzip.compress(b"", mtime=0)[:9],
        b"",
        b"\x1f\x8b\x08\x08" + packed(TEXT)[4:],
        packed(b"x" * (INFLATED_BYTES_AT_ONCE + 1)),
        packed(TEXT)[:-9] + packed(TEXT)[-8:],
    ],
    ids=["two members", "half a head", "nothing", "a head with a name", "long", "cut"],
)
def test_the_unusual_is_left_to_zlib(body: bytes) -> None:
    """The loop takes one short member with a plain head."""
    assert gunzipped(body, 10**9) is None


def test_no_more_than_the_limit_is_made() -> None:
    """A body that would be longer than it may is not taken."""
    assert gunzipped(packed(TEXT), len(TEXT) - 1) is None
    assert gunzipped(packed(TEXT), len(TEXT)) == TEXT


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 40), st.sampled_from([b"", b"\0" * 63, TEXT]))
def test_the_checksum_is_that_of_zlib(begin: bytes, size: int, end: bytes) -> None:
    """For any bytes, of any length: below what is taken at once, in the middle of it and behind."""
    data = begin + b"x" * size + end
    assert checksum_of(data) == zlib.crc32(data)


def test_the_checksum_of_every_length_is_that_of_zlib() -> None:
    """Where blocks of 64 and of 16 bytes end, and what is left behind them, is none of the answer's concern."""
    for size in range(300):
        data = TEXT[size : 2 * size + 1]
        assert checksum_of(data) == zlib.crc32(data)
