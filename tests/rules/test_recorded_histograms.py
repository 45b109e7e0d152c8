"""Native histograms that a rule records, in a real store: what it gave is what is read."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.support.histogram_rows import Value, samples_of, shown
from tests.support.seeds import new_seed
from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.labels import Labels, labels_of
from trimon.model.table import LabelTable
from trimon.query.language.options import QueryOptions
from trimon.rules.recording import Recorded, RecordingRule
from trimon.rules.session import RecordingSession
from trimon.rules.spec import RecordingSpec
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

START_MS = 1_700_006_400_000
EVER = (-(1 << 60), 1 << 60)


def recorded(values: dict[Labels, Value]) -> Recorded:
    """The result of an evaluation."""
    cells = np.full(len(values), None, np.object_)
    cells[:] = [value if isinstance(value, FloatHistogram) else None for value in values.values()]
    floats = [value if isinstance(value, float) else 0.0 for value in values.values()]
    return Recorded(LabelTable.of(list(values)), np.array(floats), None, cells)


@pytest.mark.parametrize("turn", range(3))
def test_what_a_rule_gives_is_what_is_read(tmp_path: Path, turn: int) -> None:
    """Histograms and floats that come, go and change their buckets: every sample is read again, a series that goes ends."""
    seed = new_seed()
    pick = random.Random(seed)
    store = Store.open(StoreOptions(tmp_path / "data"), DiskFiles(), StoppedClock(START_MS))
    store.replay()
    session = RecordingSession(RecordingRule(RecordingSpec("m", "up"), QueryOptions()), "rules/f/g/0")
    told: dict[Labels, list[tuple[int, object]]] = {}
    before: set[Labels] = set()
    for step in range(40):
        values: dict[Labels, Value] = {}
        for name in "abc":
            if pick.random() < 0.7:
                counts = tuple(float(pick.randint(0, 5)) for _ in range(pick.randint(0, 4)))
                native = FloatHistogram(
                    1, 0.5, 1.0, sum(counts) + 1, 2.5, Buckets.of(pick.randint(0, 2), counts)
                )
                values[labels_of({"__name__": "m", "x": name})] = native if pick.random() < 0.8 else 4.5
        time_ms = START_MS + step * 1000
        row = session.row(recorded(values), time_ms)
        answer = store.append([row])[0] if row is not None else None
        if answer is not None:
            assert (answer.error, answer.appended) == ("", len(values) + len(before - values.keys()))
            session.granted(answer)
        assert session.series == len(values)
        for labels, value in values.items():
            told.setdefault(labels, []).append((time_ms, shown(value)))
        for labels in before - values.keys():
            told[labels].append((time_ms, "ended"))
        before = set(values)
    selection = store.snapshot().select((), *EVER)
    frame = selection.frame(*EVER)
    stale = ("float", 0x7FF0000000000002)
    for row_number in range(frame.rows):
        samples = samples_of(frame, row_number, *EVER)
        assert [(t, "ended" if v == stale else v) for t, v in samples] == told[
            selection.labels.labels(row_number)
        ]
    store.close()
