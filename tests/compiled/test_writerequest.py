"""Remote write requests read by the loop in C, held against the decoder in Python."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import protobuf
from trimon.compiled.library import MISSING
from trimon.errors import UserError
from trimon.model.sample import ABSENT
from trimon.remote import write_known
from trimon.remote.write_known import KnownLabels
from trimon.remote.write_request import WriteDecoder

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no compiled loops: {MISSING}")

MARKER = struct.unpack("<d", (0x7FFC6E6174697601).to_bytes(8, "little"))[0]
names = st.one_of(st.text("ab_", max_size=2), st.just("__name__"), st.just("x" * 300))
labels = st.lists(st.tuples(names, st.text(max_size=4)), max_size=3).map(
    lambda pairs: sorted([*pairs, ("__name__", "m")])
)
times = st.one_of(
    st.integers(1_600_000_000_000, 1_800_000_000_000), st.integers(-5, 5), st.integers(2**34, 2**43)
)
values = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, ABSENT, MARKER]))
series = st.tuples(labels, st.lists(st.tuples(times, values), max_size=4)).map(
    lambda each: protobuf.series(tuple(each[0]), each[1])
)
odd = st.sampled_from(
    [b"\x1a\x02\x08\x01", b"\x0a\x00", b"\x08\x01", b"\x0a\x80\x00", b"\x0a\xff\xff\xff\x7f"]
)
bodies = st.lists(st.one_of(series, series, series, odd), max_size=6).map(b"".join)


def told(decoder: WriteDecoder, body: bytes, fields_max: int) -> tuple[object, ...]:
    """All that a decoder says of a request, or its error."""
    try:
        request = decoder.decode(body, fields_max)
    except UserError as error:
        return type(error), str(error)
    batch = request.batch
    return (
        tuple(batch.series), batch.series_index.tolist(), batch.timestamps_ms.tolist(), batch.values.tobytes(),
        batch.atomic, batch.histograms, request.metadata.families, request.invalid_series, request.faults,
        request.exemplars,
    )  # fmt: skip


@given(st.lists(bodies, max_size=4), st.sampled_from([5, 1000]), st.data())
def test_requests_say_what_the_decoder_in_python_says(
    sequence: list[bytes], fields_max: int, data: st.DataObject
) -> None:
    """Series, samples, faults and errors of requests, whole or cut or with a byte changed, are those of the twin."""
    quick, plain = WriteDecoder(), WriteDecoder()
    with pytest.MonkeyPatch.context() as patch:
        for body in sequence:
            sent = body
            if data.draw(st.integers(0, 3)) == 0:
                sent = body[: data.draw(st.integers(0, len(body)))]
            elif body and data.draw(st.integers(0, 3)) == 0:
                at = data.draw(st.integers(0, len(body) - 1))
                sent = body[:at] + bytes([data.draw(st.integers(0, 255))]) + body[at + 1 :]
            found = told(quick, sent, fields_max)
            patch.setattr(write_known, "_read", None)
            expected = told(plain, sent, fields_max)
            patch.undo()
            # How many fields a decoder has read before depends on what it remembers of requests that failed.
            if fields_max == 1000 or not ({type(found[0]), type(expected[0])} & {type}):
                assert found == expected


def test_series_that_are_known_are_numbers() -> None:
    """The second request with the same series makes nothing of them: its batch has places in the same book."""
    decoder = WriteDecoder()
    body = b"".join(
        protobuf.series((("__name__", f"m{number}"),), [(1_700_000_000_000, 1.5)]) for number in range(3000)
    )
    first, second = decoder.decode(body).batch.series, decoder.decode(body).batch.series
    assert first == second == tuple((("__name__", f"m{number}"),) for number in range(3000))
    known = KnownLabels()
    request = known.read(body)
    assert request is not None
    assert request.unknown == 3000


@given(st.lists(st.binary(max_size=40), max_size=200), st.booleans())
def test_labels_keep_their_numbers(keys: list[bytes], collide: bool) -> None:
    """Equal bytes have one number whatever the table grew to, others another one, even where all hashes are equal."""
    known = KnownLabels()
    expected: dict[bytes, int] = {}
    for key in keys * 2:
        hashed = 7 if collide else hash(key) & (2**64 - 1)
        assert known.add(key, hashed, ()) == expected.setdefault(key, len(expected))
    assert len(known) == len(expected)
    assert known.text_bytes == sum(map(len, expected))


def test_a_request_of_many_small_series_fits() -> None:
    """Columns that were made for usual requests are made anew for one of very many series or samples."""
    name = protobuf.labels([("__name__", "m")])
    zero = b"\x12\x07\x10" + b"\x80" * 5 + b"\x01"
    body = protobuf.field(1, name + zero * 5000) + protobuf.field(1, b"") * 5000
    request = KnownLabels().read(body)
    assert request is not None
    assert (len(request.numbers), len(request.times)) == (5001, 5000)
    assert np.unique(request.times).tolist() == [1 << 35]
