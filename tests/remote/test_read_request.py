"""Requests of remote read: what is asked for, and damage."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.protobuf import field, varint
from trimon.errors import UserError
from trimon.model.matcher import MatchType
from trimon.remote.read_request import ReadQuery, UnsupportedAnswerError, decode_read_request

texts = st.text(max_size=5)
conditions = st.lists(st.tuples(st.integers(0, 3), texts, texts), max_size=3)
queries = st.builds(
    ReadQuery, st.integers(-(1 << 62), 1 << 62), st.integers(0, 1 << 62), conditions.map(tuple)
)


def encoded(listed: list[ReadQuery], accepted: list[int], *, packed: bool) -> bytes:
    """The request, written independently of what reads it."""
    out = b""
    for query in listed:
        body = b"\x08" + varint(query.start_ms) + b"\x10" + varint(query.end_ms)
        for kind, name, value in query.conditions:
            body += field(3, b"\x08" + varint(kind) + field(2, name.encode()) + field(3, value.encode()))
        out += field(1, body + field(4, b"\x08\x01"))
    if packed:
        return out + field(2, b"".join(map(varint, accepted)))
    return out + b"".join(b"\x10" + varint(kind) for kind in accepted)


@given(st.lists(queries, max_size=3), st.lists(st.integers(0, 1), max_size=3), st.booleans())
def test_what_is_asked_for_is_read(listed: list[ReadQuery], accepted: list[int], packed: bool) -> None:
    """Queries with their intervals and matchers, and the kinds of answers in order, packed or not."""
    found = decode_read_request(encoded(listed, accepted, packed=packed))
    assert found.queries == tuple(listed)
    assert found.answer_kind() == (accepted[0] if accepted else 0)


@pytest.mark.parametrize(
    ("asked_ms", "read_ms"), [(-(1 << 63), -(1 << 62)), ((1 << 63) - 1, 1 << 62), (1 << 53, 1 << 53)]
)
def test_the_least_and_the_greatest_time_are_any_time(asked_ms: int, read_ms: int) -> None:
    """They are cut to what leaves room for sums; times of samples stay."""
    query = decode_read_request(encoded([ReadQuery(asked_ms, asked_ms)], [0], packed=True)).queries[0]
    assert (query.start_ms, query.end_ms) == (read_ms, read_ms)


@given(st.lists(queries, min_size=1, max_size=3), st.integers(0, 1 << 32))
def test_damage_is_told_or_read(listed: list[ReadQuery], seed: int) -> None:
    """Whatever bytes are others, the answer is a request or a UserError."""
    pick = random.Random(seed)
    body = bytearray(encoded(listed, [1], packed=True))
    for _ in range(pick.randint(1, 4)):
        body[pick.randrange(len(body))] = pick.randrange(256)
    try:
        found = decode_read_request(bytes(body[: pick.randint(1, len(body))]))
        for query in found.queries:
            query.matchers({})
    except UserError:
        return


def test_external_labels_are_not_in_storage() -> None:
    """Equality with an external label, or of a label that is no external one with nothing, asks for series without it."""
    query = ReadQuery(0, 1, ((0, "dc", "lon"), (0, "job", "api"), (1, "dc", "lon"), (0, "x", "")))
    found = query.matchers({"dc": "lon"})
    assert [(each.name, each.type, each.value) for each in found] == [
        ("dc", MatchType.EQUAL, ""),
        ("job", MatchType.EQUAL, "api"),
        ("dc", MatchType.NOT_EQUAL, "lon"),
        ("x", MatchType.EQUAL, ""),
    ]


def test_answers_that_nobody_gives_are_refused() -> None:
    """The kinds that are asked for are named, beside those that there are."""
    with pytest.raises(UnsupportedAnswerError, match=r"types: \[7 9\]; supported: map\[SAMPLES"):
        decode_read_request(b"\x12\x02\x07\x09").answer_kind()
