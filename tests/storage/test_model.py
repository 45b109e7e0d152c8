"""Random histories against the plainest model: a dict per series, rules applied one sample at a time."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.storage.conftest import START_MS, Bench, batch, exact, series
from trimon.model.labels import Labels
from trimon.model.rows import Row
from trimon.model.sample import STALE_NAN

NAMES = [series(name, i=str(i)) for name in ("a", "b") for i in range(4)]
VALUES = st.sampled_from([0.0, 1.0, 1.5, -0.0, 1e300, float("inf"), float("nan")])
STEPS = st.integers(-40_000, 60_000)


def bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


class Model:
    """What the store should hold and answer."""

    def __init__(self, window_ms: int) -> None:
        self.window_ms = window_ms
        self.samples: dict[Labels, dict[int, int]] = {}
        self.last: dict[Labels, tuple[int, int]] = {}
        self.newest_ms: int | None = None
        self.pending_newest: int | None = None

    def offer(self, labels: Labels, time_ms: int, value: float) -> str:
        """The verdict of Prometheus' rules on one sample, which is stored if they accept it."""
        lowest = -(1 << 62) if self.newest_ms is None else self.newest_ms - 3_600_000
        late = -(1 << 62) if self.newest_ms is None else self.newest_ms - self.window_ms
        last = self.last.get(labels)
        if time_ms >= lowest and (last is None or time_ms > last[0]):
            self.last[labels] = (time_ms, bits(value))
            self.store(labels, time_ms, value)
            return "appended"
        if time_ms >= lowest and last is not None and time_ms == last[0]:
            return "same" if last[1] == bits(value) else "duplicate"
        if self.window_ms:
            if time_ms < late:
                return "too_old"
            self.store(labels, time_ms, value)
            return "appended"
        return "out_of_bounds" if time_ms < lowest else "out_of_order"

    def store(self, labels: Labels, time_ms: int, value: float) -> None:
        self.samples.setdefault(labels, {}).setdefault(time_ms, bits(value))
        self.pending_newest = max(time_ms, self.pending_newest or time_ms)

    def publish(self) -> None:
        if self.pending_newest is not None:
            self.newest_ms = max(self.pending_newest, self.newest_ms or self.pending_newest)


class Histories(RuleBasedStateMachine):
    """Rows of two groups, batches, series that come and go, restarts."""

    @initialize(window_ms=st.sampled_from([0, 30_000, 7_200_000]))
    def begin(self, window_ms: int) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="trimon-model-")
        self.bench = Bench(Path(self.directory.name) / "data")
        self.bench.configure(out_of_order_window_ms=window_ms)
        self.model = Model(window_ms)
        self.now_ms = START_MS + 600_000
        self.columns: dict[str, dict[Labels, int]] = {"g": {}, "h": {}}

    def _answered(self, answer: object, verdicts: list[str]) -> None:
        for kind in ("appended", "duplicate", "out_of_order", "out_of_bounds", "too_old"):
            assert getattr(answer, kind) == verdicts.count(kind), (kind, verdicts, answer)

    @rule(
        group=st.sampled_from(["g", "h"]),
        step=STEPS,
        chosen=st.lists(
            st.tuples(st.sampled_from(NAMES), VALUES), unique_by=lambda cell: cell[0], max_size=8
        ),
        ended=st.integers(0, 2),
    )
    def row(self, group: str, step: int, chosen: list[tuple[Labels, float]], ended: int) -> None:
        """A scrape: known series by column, others as new, some ended."""
        time_ms = self.now_ms = self.now_ms + step
        self.bench.clock.value_ms = max(self.bench.clock.value_ms, time_ms)
        held = self.columns[group]
        known = [(labels, value) for labels, value in chosen if labels in held]
        new = [(labels, value) for labels, value in chosen if labels not in held]
        gone = [labels for labels in held if labels not in dict(chosen)][:ended]
        message = Row(
            group,
            time_ms,
            np.array([held[labels] for labels, _ in known], np.int32),
            np.array([value for _, value in known], np.float64),
            tuple(labels for labels, _ in new),
            np.array([value for _, value in new], np.float64),
            np.array([held[labels] for labels in gone], np.int32),
        )
        cells = [*known, *new, *((labels, STALE_NAN) for labels in gone)]
        verdicts = [self.model.offer(labels, time_ms, value) for labels, value in cells]
        (answer,) = self.bench.append(message)
        self.model.publish()
        self._answered(answer, verdicts)
        held.update({labels: int(column) for (labels, _), column in zip(new, answer.columns, strict=True)})
        for labels in gone:
            del held[labels]

    @rule(
        points=st.lists(st.tuples(st.sampled_from(NAMES), STEPS, VALUES), min_size=1, max_size=12),
        atomic=st.booleans(),
    )
    def batch(self, points: list[tuple[Labels, int, float]], atomic: bool) -> None:
        """Samples of any shape."""
        listed = [(labels, self.now_ms + step, value) for labels, step, value in points]
        self.bench.clock.value_ms = max(self.bench.clock.value_ms, *(time_ms for _, time_ms, _ in listed))
        by_series = sorted(
            listed, key=lambda point: list(dict.fromkeys(p[0] for p in listed)).index(point[0])
        )
        before = (
            {k: dict(v) for k, v in self.model.samples.items()},
            dict(self.model.last),
            self.model.pending_newest,
        )
        stored = [self._verdict_alone(*point) for point in by_series]
        verdicts = [self.model.offer(*point) for point in by_series]
        (answer,) = self.bench.append(batch(*listed, atomic=atomic))
        if atomic and set(stored) - {"appended", "same"}:
            # What the batch itself contradicts is left out, what the store contradicts refuses all.
            self.model.samples, self.model.last, self.model.pending_newest = before
            verdicts = [verdict for verdict in verdicts if verdict != "appended"]
            assert answer.error
        elif atomic:
            assert not answer.error
        self.model.publish()
        self._answered(answer, verdicts)

    def _verdict_alone(self, labels: Labels, time_ms: int, value: float) -> str:
        """The verdict on a sample if it came alone."""
        kept = (
            {k: dict(v) for k, v in self.model.samples.items()},
            dict(self.model.last),
            self.model.pending_newest,
        )
        verdict = self.model.offer(labels, time_ms, value)
        self.model.samples, self.model.last, self.model.pending_newest = kept
        return verdict

    @rule(hours=st.sampled_from([0.5, 1.0, 1.9]))
    def advance(self, hours: float) -> None:
        """Time passes: later rows fall into another window of two hours."""
        self.now_ms += int(hours * 3_600_000)

    @rule()
    def restart(self) -> None:
        """The process ends and starts: senders know no columns, order still counts from before."""
        report = self.bench.reopen()
        assert report.problems == []
        self.columns = {"g": {}, "h": {}}

    @invariant()
    def all_is_there(self) -> None:
        """What is read is what the model holds."""
        if hasattr(self, "bench"):
            wanted = {labels: sorted(pairs.items()) for labels, pairs in self.model.samples.items() if pairs}
            assert exact(self.bench.read()) == wanted

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.store.close()
            self.directory.cleanup()


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
