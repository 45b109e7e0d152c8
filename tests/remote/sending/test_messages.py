"""What is sent is what our own receiver reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.model.relabel import Relabeling
from trimon.remote.sending import messages
from trimon.remote.sending.entries import Entries
from trimon.remote.sending.messages import write_request, write_request_2
from trimon.remote.sending.packedlabels import PackedLabels
from trimon.remote.sending.series import DROPPED, SeriesTable
from trimon.remote.write_request import WriteDecoder
from trimon.wire import block, varint

NAMES = st.sampled_from(["a", "b_total", "é"])
ROWS = st.lists(st.tuples(NAMES, st.floats(), st.integers(-(2**62), 2**62)), max_size=30)
USUAL = st.lists(st.tuples(NAMES, st.floats(), st.integers(2**40, 2**41)), max_size=30)


def entries_of(table: SeriesTable, rows: list[tuple[str, float, int]]) -> Entries:
    series = table.resolve([(("__name__", name), ("x", "1")) for name, _, _ in rows])
    return Entries(
        series,
        np.array([time_ms for _, _, time_ms in rows], np.int64),
        np.array([value for _, value, _ in rows], np.float64),
    )


@given(st.one_of(ROWS, USUAL))
def test_a_request_of_1_0_is_read_as_it_was_meant(rows: list[tuple[str, float, int]]) -> None:
    """Every series, time and value comes back, bit for bit, in order, whatever the time."""
    table = SeriesTable((("dc", "lon"),), Relabeling(()), histograms=False, symbols=False)
    entries = entries_of(table, rows)
    batch = WriteDecoder().decode(write_request(table, entries)).batch
    labels = [batch.series[number] for number in batch.series_index.tolist()]
    assert labels == [(("__name__", name), ("dc", "lon"), ("x", "1")) for name, _, _ in rows]
    assert batch.timestamps_ms.tolist() == entries.times_ms.tolist()
    assert batch.values.view(np.int64).tolist() == entries.values.view(np.int64).tolist()


@pytest.mark.skipif(messages._SEND_SAMPLES is None, reason="there is no compiled library")
@given(USUAL)
def test_the_compiled_loop_and_its_twin_write_the_same_bytes(rows: list[tuple[str, float, int]]) -> None:
    """A request of 1.0 is the same to the byte by either way, zeros of both signs and NaNs included."""
    table = SeriesTable((("dc", "lon"),), Relabeling(()), histograms=False, symbols=False)
    entries = entries_of(table, rows)
    heads = table.packed.of(entries.series)
    twin = messages._blocks(1, heads, entries.times_ms, entries.values) if rows else b""
    assert write_request(table, entries) == twin


@pytest.mark.skipif(messages._SEND_SAMPLES is None, reason="there is no compiled library")
def test_the_compiled_loop_refuses_what_would_lead_it_astray() -> None:
    """Numbers of no series, labels beyond their bytes and too little room write nothing beyond and give -1."""
    loop = messages._SEND_SAMPLES
    assert loop is not None

    def run(series: int, start: int, length: int, room: int) -> int:
        out = np.full(64, 7, np.uint8)
        arrays = [np.zeros(8, np.uint8), np.array([start]), np.array([length], np.int32)]
        rows = [np.array([series], np.int32), np.array([2**40]), np.array([1.5])]
        found = loop(
            *(arrays[0].ctypes.data, 8, arrays[1].ctypes.data, arrays[2].ctypes.data, 1),
            *(each.ctypes.data for each in rows),
            *(1, out.ctypes.data, room),
        )
        assert (out[room:] == 7).all()
        return int(found)

    assert run(0, 2, 6, 26) == 26
    assert run(0, 2, 6, 25) == -1
    assert run(0, 3, 6, 60) == -1
    assert run(0, -1, 6, 60) == -1
    assert run(0, 0, -1, 60) == -1
    assert run(0, 2**62, 2**31 - 1, 60) == -1
    assert run(1, 0, 6, 60) == -1
    assert run(-1, 0, 6, 60) == -1


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20), st.data())
def test_labels_that_are_given_back_make_room_for_others(packed: list[bytes], data: st.DataObject) -> None:
    """What is left after some went reads as before, and the bytes of those that went are gone."""
    labels = PackedLabels()
    for number, each in enumerate(packed):
        labels.put(number, each)
    gone = sorted(data.draw(st.sets(st.integers(0, len(packed) - 1))))
    labels.forget(gone)
    for number in gone:
        packed[number] = b""
    assert labels.of(np.arange(len(packed), dtype=np.int32)) == packed
    if gone:
        assert len(labels.content) == len(b"".join(packed))
    labels.put(len(packed), b"new")
    assert labels.of(np.array([len(packed)], np.int32)) == [b"new"]


@given(USUAL)
def test_a_request_of_2_0_names_every_string_once(rows: list[tuple[str, float, int]]) -> None:
    """The first symbol is empty, none comes twice, and there is a series a sample."""
    table = SeriesTable((), Relabeling(()), histograms=False, symbols=True)
    message = write_request_2(table, entries_of(table, rows))
    symbols, series, position = [], 0, 0
    while position < len(message):
        tag, position = varint(message, position)
        start, position = block(message, position, len(message))
        if tag >> 3 == 4:
            symbols.append(message[start:position].decode())
        else:
            series += tag >> 3 == 5
    assert symbols[0] == ""
    assert len(set(symbols)) == len(symbols)
    assert series == len(rows)


def test_labels_of_a_series_go_before_those_of_outside() -> None:
    """A label that both have is the series'; what a rule drops has the number of all that is dropped."""
    table = SeriesTable((("dc", "lon"),), Relabeling(()), histograms=False, symbols=False)
    number = int(table.resolve([(("__name__", "a"), ("dc", "own"))])[0])
    assert table.labels[number] == (("__name__", "a"), ("dc", "own"))
    assert number != DROPPED
