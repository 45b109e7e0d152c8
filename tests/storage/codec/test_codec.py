"""The sample codec: bit-exact for every float64."""

from __future__ import annotations

from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trimon.model.sample import ABSENT_BITS, STALE_NAN_BITS
from trimon.storage.codec.matrix import CodecError, decode, encode, shape
from trimon.storage.wal.cells import pack_cells, unpack_cells

ODD_BITS = st.sampled_from(
    [0, -(2**63), STALE_NAN_BITS, ABSENT_BITS, 0x7FF8000000000001, 1, 0x7FF0000000000000, -0x10000000000000]
)
DECIMAL = st.builds(
    lambda mantissa, exponent: int(np.float64(mantissa / 10.0**exponent).view(np.int64)),
    st.integers(-(2**54), 2**54),
    st.integers(0, 17),
)
SMALL = st.integers(-300, 300).map(lambda number: int(np.float64(number).view(np.int64)))
ANY_BITS = st.one_of(st.integers(-(2**63), 2**63 - 1), ODD_BITS, DECIMAL, SMALL)
MATRICES = st.tuples(st.integers(0, 6), st.integers(0, 40)).flatmap(
    lambda size: hnp.arrays(np.int64, size, elements=st.one_of(SMALL, DECIMAL, ANY_BITS))
)


@given(MATRICES)
@settings(max_examples=400, deadline=None)
def test_every_bit_pattern_survives(bits: np.ndarray) -> None:
    """Any matrix of float64 comes back bit for bit: NaN payloads, -0, infinities, subnormals."""
    values = bits.view(np.float64)
    data = encode(values)
    assert shape(data) == values.shape
    assert np.array_equal(decode(data).view(np.int64), bits)


@given(MATRICES.filter(lambda bits: bits.shape[0] > 0), st.data())
@settings(max_examples=200, deadline=None)
def test_chosen_rows_are_the_same_as_in_the_whole(bits: np.ndarray, data: st.DataObject) -> None:
    """Decoding some rows, in any order and repeated, gives these rows of the whole."""
    rows = np.array(data.draw(st.lists(st.integers(0, bits.shape[0] - 1), max_size=8)), np.intp)
    assert np.array_equal(decode(encode(bits.view(np.float64)), rows).view(np.int64), bits[rows])


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_realistic_series_survive_together(seed: int, count: int, samples: int) -> None:
    """Counters, gauges, decimals, constants, stale ends and gaps in one matrix come back bit for bit."""
    random = np.random.default_rng(seed)
    values = np.empty((count, samples))
    for row in range(count):
        kind = int(random.integers(6))
        steps = random.poisson(3, samples) * float(random.choice([0, 1, 0.01, 0.25, 1e6]))
        values[row] = [
            np.cumsum(steps),
            random.normal(size=samples),
            np.round(random.random(samples), 3),
            np.full(samples, random.random()),
            np.cumsum(np.cumsum(random.integers(0, 3, samples))) * 1.0,
            random.random(samples) * 1e-310,
        ][kind]
        if random.random() < 0.3:
            values[row, : int(random.integers(samples))] = np.int64(ABSENT_BITS).view(np.float64)
        if random.random() < 0.3:
            values[row, -1] = np.int64(STALE_NAN_BITS).view(np.float64)
    assert np.array_equal(decode(encode(values)).view(np.int64), values.view(np.int64))


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.integers(1, 70),
    st.sampled_from([1, 2, 3, 4, 7, 15, 16, 255, 256, 65535, 65536, 2**40]),
)
@settings(max_examples=200, deadline=None)
def test_differences_of_every_width_survive(seed: int, count: int, samples: int, span: int) -> None:
    """Series whose differences span 1 bit to 5 bytes, rising, falling or curved, come back bit for bit, also row by row."""
    random = np.random.default_rng(seed)
    steps = random.integers(0, span, (count, samples), endpoint=True)
    steps += random.integers(-20, 20, (count, 1)) * random.integers(0, 2, (count, 1))
    steps[::3] = np.cumsum(steps[::3], axis=1)
    values = np.cumsum(steps, axis=1) / 10.0 ** random.integers(0, 2, (count, 1))
    data = encode(values)
    assert np.array_equal(decode(data).view(np.int64), values.view(np.int64))
    rows = random.permutation(count)[: random.integers(1, count, endpoint=True)]
    assert np.array_equal(decode(data, rows).view(np.int64), values[rows].view(np.int64))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 70), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_multiples_of_a_power_of_two_survive(seed: int, count: int, samples: int, shift: int) -> None:
    """Whole numbers with common lowest zeros, of both signs, with gaps and one odd number among them, come back bit for bit."""
    random = np.random.default_rng(seed)
    values = random.integers(-1000, 1000, (count, samples)).astype(np.float64) * 2.0**shift
    values[::3, random.integers(samples)] += 1.0
    values[random.random((count, samples)) < 0.02] = np.int64(ABSENT_BITS).view(np.float64)
    data = encode(values)
    assert np.array_equal(decode(data).view(np.int64), values.view(np.int64))
    rows = random.permutation(count)
    assert np.array_equal(decode(data, rows).view(np.int64), values[rows].view(np.int64))


def test_lowest_bits_that_are_always_zero_cost_nothing() -> None:
    """A gauge in pages of 4 KiB takes what its number of pages takes."""
    pages = np.cumsum(np.random.default_rng(7).normal(0, 50, (64, 480)).round(), axis=1) + 1e5
    assert len(encode(pages * 4096)) < 1.01 * len(encode(pages))


FORMAT_1 = (
    "BgAAAAYAAAABAAAAFAAAAEQAAAAVAAAADwAAAA8AAAAPAAAADwAAAA8AAAAPAAAADwAAAA8AAAAPAAAADwAAAA8AAAAPAAAADwAAAA8AAAAPAA"
    "AADwAAAA8AAAAPAAAAKLUv/SBs3QEAxAIAAgoBDwkAAAIAAAAAARkAmgMAAAAAmQAUAAAAuQBAAAAAPwAAARkFAK82AAUAYAHcgcY4JVgCFjwo"
    "tS/9IAxhAAAfAAAAAAAAAAAA+H8otS/9IAYxAAAABwMABAgotS/9IAYxAAAAAAACAAAotS/9IAYxAAAAXVt6W1sotS/9IAYxAAAAbWaubW0otS"
    "/9IAYxAAAAAAABAAAotS/9IAYxAAAAAAAAAAAotS/9IAYxAAAAAGRjGAAotS/9IAYxAAAAAAAAIgAotS/9IAYxAAAAAAAAAgAotS/9IAYxAAAA"
    "AAAAAAAotS/9IAYxAAAAzwBVAAAotS/9IAYxAAAAzABVAAAotS/9IAYxAAAAzABVAAAotS/9IAYxAAAAzABVAAAotS/9IAYxAAAAzABVAAAotS"
    "/9IAYxAAAAzABVAAAotS/9IAYxAAAAbDAdCPAotS/9IAYxAAAAAABAAP8="
)


def test_what_format_1_wrote_is_read() -> None:
    """Bytes of the first format, of every class and width it had, are the values they were."""
    values = np.array(
        [
            [5.0, 5.0, 5.0, 5.0, 5.0, 5.0],
            [1, 2, 3, 5, 7, 9],
            [0.25, 0.5, 1.25, 1.5, 700.75, 1400.0],
            [0, 1, 4, 9, 16, 25],
            [0.1, 1 / 3, 2 / 3, np.nan, np.inf, -0.0],
            [3, np.nan, 900, 70000, 70001, 70002],
        ]
    )
    assert np.array_equal(decode(b64decode(FORMAT_1)).view(np.int64), values.view(np.int64))


def test_small_steps_take_less_than_a_byte() -> None:
    """A counter that grows by 0 to 3 takes the 2 bits a sample that are in it, one that seldom grows hardly any."""
    random = np.random.default_rng(3)
    assert (
        len(encode(np.cumsum(random.integers(0, 4, (50, 1000)), axis=1).astype(np.float64))) < 0.27 * 50_000
    )
    assert (
        len(encode(np.cumsum(random.random((50, 1000)) < 0.02, axis=1).astype(np.float64))) < 0.035 * 50_000
    )


def test_constants_cost_next_to_nothing() -> None:
    """A page of constants takes a few bytes a series, whatever its length."""
    assert len(encode(np.repeat(np.arange(100.0)[:, None], 5000, axis=1))) < 100 * 6


def test_steady_counters_cost_little() -> None:
    """A counter that grows by about the same takes well under a byte a sample."""
    random = np.random.default_rng(3)
    values = np.cumsum(100 + random.integers(0, 4, (50, 1000)), axis=1).astype(np.float64)
    assert len(encode(values)) < 0.4 * values.size


@pytest.mark.parametrize("size", [0, 3, 15, 20, 40, 100])
def test_cut_off_bytes_are_an_error(size: int) -> None:
    """Bytes that end early raise CodecError, never a wrong matrix."""
    data = encode(np.random.default_rng(1).random((4, 30)))
    with pytest.raises(CodecError):
        decode(data[:size])


@given(
    st.integers(1, 30).flatmap(
        lambda count: st.tuples(
            *(hnp.arrays(np.int64, count, elements=st.one_of(SMALL, DECIMAL, ANY_BITS)),) * 2
        )
    )
)
@settings(max_examples=400, deadline=None)
def test_cells_of_the_log_come_back_from_the_row_before(rows: tuple[np.ndarray, np.ndarray]) -> None:
    """Any row packed against any other comes back bit for bit, and takes all of its bytes."""
    previous, values = (row.view(np.float64) for row in rows)
    header, data = pack_cells(previous, values)
    found, used = unpack_cells(previous, header, memoryview(data))
    assert np.array_equal(found.view(np.int64), rows[1])
    assert used == len(data)
