"""What is sent is what our own receiver reads."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trimon.model.relabel import Relabeling
from trimon.remote.sending.entries import Entries
from trimon.remote.sending.messages import write_request, write_request_2
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
