"""The sample codec: bit-exact for every float64."""

from __future__ import annotations

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


def test_constants_cost_next_to_nothing() -> None:
    """A page of constants takes a few bytes a series, whatever its length."""
    assert len(encode(np.repeat(np.arange(100.0)[:, None], 5000, axis=1))) < 100 * 6


def test_steady_counters_cost_little() -> None:
    """A counter that grows by about the same takes well under a byte a sample."""
    random = np.random.default_rng(3)
    values = np.cumsum(100 + random.integers(0, 4, (50, 1000)), axis=1) * 1.0
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
