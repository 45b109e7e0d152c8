"""Selectors: samples from storage, as instant vectors and as windows."""

from __future__ import annotations

from enum import Enum

import numpy as np

from trimon.model.frame import Times
from trimon.model.sample import is_stale
from trimon.query.context import Context, Operator, Source
from trimon.query.grid import Grid
from trimon.query.operators.extended import interpolate_instant
from trimon.query.panel import Panel, panels
from trimon.query.values import Mask, Matrix, Ranges, Value, Vector


class Pick(Enum):
    """What an instant selector reads of the sample it finds."""

    VALUE = "value"
    TIME = "timestamp"
    START = "start timestamp"


class SelectOperator(Operator):
    """The newest sample in `(ref - lookback, ref]` of every series at every step; a stale marker is none.

    With `smoothed` the value at `ref` between its neighbours within the lookback instead.
    """

    def __init__(
        self,
        source: Source,
        refs_ms: Times,
        lookback_ms: int,
        text: str,
        *,
        pick: Pick,
        smoothed: bool = False,
    ) -> None:
        self.source = self._source = source
        self.refs_ms = refs_ms
        self.lookback_ms = lookback_ms
        self.pick = pick
        self.smoothed = smoothed
        self._text = text

    def describe(self) -> str:
        """One line for the plan."""
        shown = "" if self.pick is Pick.VALUE else f" {self.pick.value}"
        return f"select{shown} {self._text}"

    def compute(self, context: Context, inputs: list[Value]) -> Value:
        """A Vector."""
        del inputs
        frame = context.frame(self._source)
        steps = len(self.refs_ms)
        shape = (frame.rows, steps)
        context.budget.take_bytes(frame.rows * steps * 9, "the result of a selector")
        values = np.zeros(shape)
        present = np.zeros(shape, np.bool_)
        if self.smoothed:
            interpolate_instant(frame, self.refs_ms, self.lookback_ms, values, present)
            return Vector(context.labels(self._source), values, present).compact()
        for panel in panels(frame, self.refs_ms, self.lookback_ms, drop_stale=False):
            context.budget.check()
            _newest(panel, self.pick, values, present)
        vector = Vector(context.labels(self._source), values, present).compact()
        context.stats.looked_at(vector.present.sum(axis=0))
        return vector


def _newest(panel: Panel, pick: Pick, values: Matrix, present: Mask) -> None:
    last = panel.hi - 1
    found = panel.hi > panel.lo
    newest = panel.pick(panel.values, last)
    shown = np.broadcast_to(found, newest.shape)
    stale = is_stale(newest)
    if stale.any():
        shown = shown & ~stale
    if pick is Pick.TIME:
        newest = np.broadcast_to(panel.pick_times(last) / 1000, newest.shape)
    elif pick is Pick.START:
        if panel.starts is None:
            return
        starts = panel.pick_int(panel.starts, last)
        shown = shown & (starts != 0)
        newest = starts / 1000
    rows = panel.rows
    if len(rows) == rows[-1] - rows[0] + 1:
        values[rows[0] : rows[-1] + 1] = newest
        present[rows[0] : rows[-1] + 1] = shown
    else:
        values[rows] = newest
        present[rows] = shown


class RangeOperator(Operator):
    """The windows of a range selector: the frame itself, nothing is copied."""

    def __init__(
        self,
        source: Source,
        refs_ms: Times,
        range_ms: int,
        text: str,
        *,
        lookback_ms: int = 0,
        anchored: bool = False,
        smoothed: bool = False,
    ) -> None:
        self.source = self._source = source
        self.refs_ms = refs_ms
        self.range_ms = range_ms
        self.lookback_ms = lookback_ms
        self.anchored = anchored
        self.smoothed = smoothed
        self._text = text

    def describe(self) -> str:
        """One line for the plan."""
        return f"windows {self._text}"

    def compute(self, context: Context, inputs: list[Value]) -> Value:
        """Ranges."""
        del inputs
        return Ranges(
            context.labels(self._source),
            context.frame(self._source),
            self.refs_ms,
            self.range_ms,
            self.lookback_ms,
            anchored=self.anchored,
            smoothed=self.smoothed,
        )


class RepeatOperator(Operator):
    """A value that does not depend on the step, computed at the first one and shown at all."""

    def __init__(self, child: Operator, grid: Grid) -> None:
        self.children = (child,)
        self.grid = grid

    def describe(self) -> str:
        """One line for the plan."""
        return f"repeat over {self.grid.count} steps"

    def compute(self, context: Context, inputs: list[Value]) -> Value:
        """A Vector whose rows are constant."""
        del context
        (value,) = inputs
        assert isinstance(value, Vector)
        shape = (value.rows, self.grid.count)
        return value.with_values(np.broadcast_to(value.values, shape), np.broadcast_to(value.present, shape))
