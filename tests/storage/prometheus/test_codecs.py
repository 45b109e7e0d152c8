"""Prometheus' encodings: checksums, variable-length integers, XOR chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.storage.prometheus.crc import crc32c, crc32c_many
from trimon.storage.prometheus.varint import FormatError, read_all, read_at, write_all
from trimon.storage.prometheus.xor import decode_chunks, encode_chunks
from trimon.wire import put_varint

CHUNKS = st.lists(
    st.lists(st.tuples(st.integers(-(2**40), 2**41), st.integers(0, 2**64 - 1)), min_size=1, max_size=30),
    min_size=1,
    max_size=6,
)


def test_the_checksum_is_castagnolis() -> None:
    """The published check value, and the empty string."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


@given(st.integers(0, 20_000), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_a_long_piece_has_the_checksum_of_its_bytes_one_by_one(size: int, seed: int) -> None:
    """Cutting into lanes and joining gives what running over the bytes gives."""
    data = np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)
    plain = crc32c_many(data, np.zeros(1, np.int64), np.array([size]))
    assert crc32c(data.tobytes()) == int(plain[0])


def by_byte(data: bytes) -> int:
    """The checksum, a bit at a time as the polynomial has it."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 700)), max_size=12), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_checksums_of_many_pieces(pieces: list[tuple[int, int]], seed: int) -> None:
    """Pieces of any lengths, summed side by side and by stretches, have the checksums of their bytes."""
    data = np.random.default_rng(seed).integers(0, 256, 2700).astype(np.uint8)
    starts, lengths = (np.array([piece[place] for piece in pieces], np.int64) for place in (0, 1))
    wanted = [by_byte(data[start : start + length].tobytes()) for start, length in pieces]
    assert crc32c_many(data, starts, lengths).tolist() == wanted


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50))
@settings(deadline=None)
def test_variable_length_integers_come_back(numbers: list[int]) -> None:
    """Writing many at once is writing one by one, and reading gives them back."""
    data, lengths = write_all(np.array(numbers, np.uint64))
    assert data.tobytes() == b"".join(map(put_varint, numbers))
    assert read_all(data)[0].tolist() == numbers
    values, ends = read_at(data, np.cumsum(lengths) - lengths)
    assert values.tolist() == numbers
    assert ends.tolist() == np.cumsum(lengths).tolist()


def test_a_cut_integer_is_an_error() -> None:
    """An integer that runs past the end raises FormatError."""
    with pytest.raises(FormatError):
        read_at(np.array([0x80, 0x80], np.uint8), np.zeros(1, np.int64))


@given(CHUNKS)
@settings(deadline=None, max_examples=200)
def test_chunks_come_back_bit_for_bit(chunks: list[list[tuple[int, int]]]) -> None:
    """Any times and any bit patterns survive encoding and decoding together."""
    counts = np.array([len(chunk) for chunk in chunks])
    times = np.array([time for chunk in chunks for time, _ in sorted(chunk)])
    values = np.array([bits for chunk in chunks for _, bits in sorted(chunk)], np.uint64).view(np.float64)
    data, lengths = encode_chunks(times, values, counts)
    found_times, found_values, found_counts = decode_chunks(data, np.cumsum(lengths) - lengths, lengths)
    assert found_counts.tolist() == counts.tolist()
    assert found_times.tolist() == times.tolist()
    assert np.array_equal(found_values.view(np.uint64), values.view(np.uint64))


def test_a_cut_chunk_is_an_error() -> None:
    """A chunk whose bytes end before its last sample raises FormatError."""
    times, values = np.arange(50) * 15_000, np.random.default_rng(1).random(50)
    data, lengths = encode_chunks(times, values, np.array([50]))
    with pytest.raises(FormatError):
        decode_chunks(data[: len(data) // 2], np.zeros(1, np.int64), lengths // 2)
