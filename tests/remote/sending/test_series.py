"""What a queue knows of series, and what it lets go of."""

from __future__ import annotations

import numpy as np
import pytest

from trimon.model.components import component_labels
from trimon.model.labels import Labels, labels_of
from trimon.model.relabel import Relabeling
from trimon.remote.sending.entries import Entries
from trimon.remote.sending.messages import write_request, write_request_2
from trimon.remote.sending.series import SeriesTable


def labels(number: int) -> Labels:
    return labels_of({"__name__": "m", "i": str(number)})


@pytest.mark.parametrize("second", [False, True])
def test_series_that_nobody_writes_any_more_are_forgotten(second: bool) -> None:
    """A table of series that come and go stays as large as those that are there; what stays is sent as before."""
    table = SeriesTable((), Relabeling(()), histograms=True, symbols=second)
    stays = table.resolve([labels(-1), component_labels(labels(-1), "3:0.001:count")])

    def request() -> bytes:
        one = Entries(stays[:1], np.array([1_700_000_000_000]), np.array([1.5]))
        return write_request_2(table, one) if second else write_request(table, one)

    before = request()
    for first in range(0, 3000, 100):
        told = [labels(number) for number in range(first, first + 100)]
        told += [component_labels(each, "3:0.001:count") for each in told]
        numbers = table.resolve(told)
        assert [table.labels[number] for number in numbers[:100].tolist()] == told[:100]
        assert not set(numbers.tolist()) & set(stays.tolist())
        assert table.owners[numbers[100:]].tolist() == numbers[:100].tolist()
        gone = table.forget([stays, numbers])
        assert len(gone) == (200 if first else 0)
        assert request() == before
    assert len(table) <= 1 + 2 + 400
    assert len(table.symbols) <= 1 + 4 + 200
    assert table.resolve([labels(-1)]).tolist() == stays[:1].tolist()
