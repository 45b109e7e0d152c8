"""One rule's evaluations, one after the other: results in, rows out, health kept. Synchronous, no I/O.

The order is always: `evaluate`, then `granted` with storage's answer, or `lost` if storage could not take the row; or
`failed` alone, when there is no result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from trimon.model.components import COMPONENT_LABEL, component_labels, split
from trimon.model.labels import Labels
from trimon.model.rows import NO_COLUMNS, Appended, Columns, Row
from trimon.model.snapshot import Snapshot
from trimon.model.table import LabelTable
from trimon.query.execution.budget import Budget
from trimon.query.execution.stats import QueryStats
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.recording import Recorded, RecordingRule
from trimon.rules.selectors import RuleSelector, SelectorWatch
from trimon.rules.spec import RecordingSpec, RuleSpec

Health = Literal["unknown", "ok", "err"]
Keys = npt.NDArray[np.uint64]

_NO_KEYS: Keys = np.zeros(0, np.uint64)


def row_keys(table: LabelTable) -> Keys:
    """A 64-bit key of every label set: the sum of the hashes of its pairs, which Python keys anew in each process.

    Two different sets among a hundred thousand have the same key once in four thousand million evaluations.
    """
    keys = np.zeros(table.rows, np.uint64)
    for name, codes, values in zip(table.names, table.columns, table.values, strict=True):
        used = np.zeros(len(values), np.bool_)
        used[codes] = True
        used[0] = False
        places = np.flatnonzero(used)
        hashes = np.zeros(len(values), np.uint64)
        pairs = np.array([hash((name, values[place])) for place in places.tolist()], np.int64)
        hashes[places] = _mixed(pairs.view(np.uint64))
        keys += hashes[codes]
    return keys


def _mixed(numbers: Keys) -> Keys:
    """The numbers stirred (splitmix64's finisher): sums of Python's own tuple hashes are not distinct enough."""
    mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A row on its way to storage: keys and columns as they will be when it is granted, `components` of histograms last."""

    keys: Keys
    components: int
    columns: Columns
    fresh: npt.NDArray[np.intp]
    """Rows of the result for which columns were asked."""


@dataclass(frozen=True, slots=True)
class _Cells:
    """What a result is stored as: a float a series, and behind them those of the components of histograms."""

    table: LabelTable
    keys: Keys
    values: npt.NDArray[np.float64]
    components: Sequence[tuple[int, str]] = ()
    """Row of its series, and text."""

    @classmethod
    def of(cls, recorded: Recorded) -> _Cells:
        keys, values = row_keys(recorded.labels), recorded.values
        if recorded.histograms is None:
            return cls(recorded.labels, keys, values)
        values = values.copy()
        components: list[tuple[int, str]] = []
        numbers: list[float] = []
        for row, histogram in enumerate(recorded.histograms.tolist()):
            if histogram is not None:
                values[row], texts, parts = split(histogram)
                components += [(row, text) for text in texts]
                numbers += parts
        own = np.array([hash((COMPONENT_LABEL, text)) for _, text in components], np.int64)
        owners = np.array([row for row, _ in components], np.int64)
        keys = np.concatenate((keys, keys[owners] + _mixed(own.view(np.uint64))))
        return cls(recorded.labels, keys, np.concatenate((values, numbers)), components)

    def labels(self, place: int) -> Labels:
        """The labels of a cell."""
        if place < self.table.rows:
            return self.table.labels(place)
        row, text = self.components[place - self.table.rows]
        return component_labels(self.table.labels(row), text)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """When and within which bounds a rule is evaluated.

    `time_ms` is the slot, since when alerts count; samples are read and stored at `stamp_ms`, earlier by the query offset.
    """

    time_ms: int
    stamp_ms: int
    options: QueryOptions
    budget: Budget
    limit: int = 0


class RuleSession(ABC):
    """The state of one rule between evaluations. Not thread-safe; belongs to its group's actor.

    `group` is the name of its scrape group in storage.
    """

    def __init__(self, group: str, selectors: Sequence[RuleSelector] = ()) -> None:
        self.group = group
        self.selectors = SelectorWatch(selectors)
        self.health: Health = "unknown"
        self.last_error = ""
        self.last_evaluation_ms = 0
        self.duration_s = 0.0
        self.samples = 0
        self._keys = _NO_KEYS
        self._components = 0
        # the column of every key, -1 where storage has granted none
        self._columns: Columns = NO_COLUMNS
        self._offer: _Offer | None = None

    @property
    @abstractmethod
    def spec(self) -> RuleSpec:
        """What the rule file says."""

    @property
    @abstractmethod
    def query(self) -> str:
        """The expression as the API shows it."""

    @abstractmethod
    def recorded(self, snapshot: Snapshot, evaluation: Evaluation) -> Recorded:
        """What an evaluation stores. In a thread. Raises ParseError or QueryError."""

    def evaluate(self, snapshot: Snapshot, evaluation: Evaluation) -> tuple[Row | None, QueryStats | None]:
        """The row of an evaluation, and what it cost. In a thread. Raises ParseError or QueryError."""
        try:
            recorded = self.recorded(snapshot, evaluation)
        except QueryError:
            # What fails in matching or by its limit has read its selectors all the same.
            if evaluation.budget.stats is not None:
                self.selectors.note(evaluation.budget.stats.matched, evaluation.time_ms)
            raise
        if recorded.stats is not None:
            self.selectors.note(recorded.stats.matched, evaluation.time_ms)
        return self.row(recorded, evaluation.stamp_ms), recorded.stats

    def row(self, recorded: Recorded, time_ms: int) -> Row | None:
        """The row of a result: series that are there no longer end. None when there is nothing to store."""
        cells = _Cells.of(recorded)
        keys, values = cells.keys, cells.values
        if np.array_equal(keys, self._keys) and (self._columns >= 0).all():
            self._offer = _Offer(self._keys, self._components, self._columns, np.zeros(0, np.intp))
            if not len(keys):
                return None
            return Row(self.group, time_ms, self._columns, values)
        columns = self._columns_of(keys)
        held = columns >= 0
        fresh = np.flatnonzero(~held)
        self._offer = _Offer(keys, len(cells.components), columns, fresh)
        ended = np.setdiff1d(self._columns[self._columns >= 0], columns).astype(np.int32)
        if not len(keys) and not len(ended):
            return None
        return Row(
            self.group,
            time_ms,
            columns[held],
            values[held],
            tuple(map(cells.labels, fresh.tolist())),
            values[fresh],
            ended,
        )

    def _columns_of(self, keys: Keys) -> Columns:
        columns = np.full(len(keys), -1, np.int32)
        if len(self._keys):
            order = np.argsort(self._keys)
            sorted_keys = self._keys[order]
            place = np.minimum(np.searchsorted(sorted_keys, keys), len(order) - 1)
            found = sorted_keys[place] == keys
            columns[found] = self._columns[order[place[found]]]
        return columns

    def granted(self, appended: Appended) -> None:
        """Takes in storage's answer to the last row; an answer of no row is an empty one."""
        offer = self._offer
        assert offer is not None
        columns = offer.columns
        if len(offer.fresh):
            columns = columns.copy()
            columns[offer.fresh] = appended.columns
        self._keys, self._components = offer.keys, offer.components
        self._columns, self._offer = columns, None
        self.samples = appended.appended
        self._ended("err" if appended.error else "ok", appended.error)

    def failed(self, error: str) -> None:
        """There is no result: nothing is stored, and no series ends."""
        self.samples = 0
        self._ended("err", error)

    def lost(self, error: str, *, certain: bool) -> None:
        """Storage could not take the last row. If it is not certain that it did not, all series are offered anew."""
        if not certain:
            self.forget()
        self._offer = None
        self.failed(error)

    def forget(self) -> None:
        """Holds no columns any longer, as after an evaluation that was cut off."""
        self._keys, self._components = _NO_KEYS, 0
        self._columns, self._offer = NO_COLUMNS, None

    def _ended(self, health: Health, error: str) -> None:
        self.health, self.last_error = health, error

    def inherit(self, predecessor: RuleSession) -> None:
        """Goes on where a session of the same rule ended: its series, in its scrape group."""
        if predecessor._offer is not None:
            predecessor.forget()
        self.group = predecessor.group
        self._keys, self._components = predecessor._keys, predecessor._components
        self._columns = predecessor._columns
        self.health, self.last_error = predecessor.health, predecessor.last_error
        self.last_evaluation_ms, self.duration_s = predecessor.last_evaluation_ms, predecessor.duration_s
        self.samples = predecessor.samples
        self.selectors.inherit(predecessor.selectors)

    @property
    def series(self) -> int:
        """Series that live."""
        return len(self._keys) - self._components

    def end(self, time_ms: int) -> Row | None:
        """The row that ends every series; None when there are none."""
        columns = np.sort(self._columns[self._columns >= 0])
        self.forget()
        if not len(columns):
            return None
        return Row(self.group, time_ms, NO_COLUMNS, np.zeros(0, np.float64), ended=columns)


class RecordingSession(RuleSession):
    """The state of a recording rule."""

    def __init__(self, rule: RecordingRule, group: str) -> None:
        super().__init__(group, rule.selectors)
        self.rule = rule

    @property
    def spec(self) -> RecordingSpec:
        """What the rule file says."""
        return self.rule.spec

    @property
    def query(self) -> str:
        """The expression as the API shows it."""
        return self.rule.query

    def recorded(self, snapshot: Snapshot, evaluation: Evaluation) -> Recorded:
        """The samples of the rule. In a thread. Raises ParseError or QueryError."""
        return self.rule.evaluate(
            snapshot, evaluation.stamp_ms, evaluation.options, evaluation.budget, evaluation.limit
        )
