"""`info(v, {selector})`: labels of info metrics added to the series they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from trimon.model.labels import INSTANCE_LABEL, JOB_LABEL, METRIC_NAME, format_label_set
from trimon.model.matcher import Matcher
from trimon.model.table import LabelTable
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import merge_dictionaries, select_names, shared_groups, with_column
from trimon.query.execution.names import merge_equal
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Index, Mask, Value, Vector
from trimon.query.language.errors import QueryError
from trimon.query.operators.binary import stack
from trimon.query.operators.matching import any_present, matching_pairs

_IDENTITY: Final = (INSTANCE_LABEL, JOB_LABEL)


class InfoOperator(Operator):
    """Inputs: the base vector, the info series' values, the same series' sample times."""

    leading = 0

    def __init__(
        self,
        base: Operator,
        info: Operator,
        times: Operator,
        names: Sequence[Matcher],
        data: Sequence[Matcher],
    ) -> None:
        self.children = (base, info, times)
        self.names = names
        self.data = data

    def describe(self) -> str:
        """One line for the plan."""
        return "info"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of the base series with more labels."""
        del context
        base, info, times = inputs
        assert isinstance(base, Vector)
        assert isinstance(info, Vector)
        assert isinstance(times, Vector)
        if base.rows == 0:
            return base
        ignored = self._is_info(base)
        through = base.take(np.flatnonzero(ignored))
        plain = base.take(np.flatnonzero(~ignored))
        if plain.rows == 0:
            return through
        about = _about(plain, info)
        info, times = info.take(about), times.take(about)
        native = np.flatnonzero(info.are_histograms().any(axis=1))
        if len(native):
            shown = format_label_set(info.labels.labels(int(native[0])))
            raise QueryError(f"this should be an info metric, with float samples: {shown}")
        return merge_equal(stack(through, self._enriched(plain, info, times)))

    def _is_info(self, base: Vector) -> Mask:
        codes, texts = base.labels.column(METRIC_NAME)
        hit = [
            bool(text) and all(matcher.matches(text) for matcher in self.names)
            for text in (texts[code] for code in range(int(codes.max()) + 1))
        ]
        return np.array(hit)[codes]

    def _enriched(self, base: Vector, info: Vector, times: Vector) -> Vector:
        """The base with the labels of each info metric in turn; what has no info metric stays or goes."""
        keeps_bare = all(matcher.matches_empty for matcher in self.data)
        current, matched = base, np.zeros(base.present.shape, np.bool_)
        codes, texts = info.labels.column(METRIC_NAME)
        origin = np.arange(base.rows)
        for code in sorted(np.unique(codes).tolist(), key=lambda code: texts[code]):
            rows = np.flatnonzero(codes == code)
            newest = _newest(info.take(rows), times.take(rows))
            current, matched, origin = self._join(base, current, matched, origin, newest)
        if keeps_bare:
            return current
        return replace(current, present=current.present & matched).compact()

    def _join(
        self,
        base: Vector,
        current: Vector,
        matched: Mask,
        origin: Index,
        info: Vector,
    ) -> tuple[Vector, Mask, Index]:
        mine, theirs, count = shared_groups(
            select_names(current.labels, _IDENTITY), select_names(info.labels, _IDENTITY)
        )
        wanted = {matcher.name for matcher in self.data}
        names = [
            name
            for name in info.labels.names
            if name not in (*_IDENTITY, METRIC_NAME) and (not wanted or name in wanted)
        ]
        pairs = matching_pairs(mine, theirs, count)
        met = current.present[pairs.left] & info.present[pairs.right]
        alone = current.present & ~any_present(pairs.left, current.rows, met)
        labels = current.labels.take(pairs.left)
        for name in names:
            own = base.labels.column(name)[0][origin[pairs.left]] != 0
            labels = _extended(labels, name, info.labels, pairs.right, met.any(axis=1) & ~own)
        cells = None if current.histograms is None else current.histograms[pairs.left]
        joined = Vector(labels, current.values[pairs.left], met, _taken(current.drop_name, pairs.left), cells)
        both = stack(joined, replace(current, present=alone))
        flags = np.concatenate([met, matched])
        origins = np.concatenate([origin[pairs.left], origin])
        alive = np.flatnonzero(both.present.any(axis=1))
        return both.take(alive), flags[alive], origins[alive]


def _about(base: Vector, info: Vector) -> Index:
    """Info series that say whom they are about, by each label by which any base series says who it is; none where none does."""
    named = [name for name in _IDENTITY if base.labels.column(name)[0].any()]
    if not named:
        return np.zeros(0, np.intp)
    return np.flatnonzero(np.logical_and.reduce([info.labels.column(name)[0] != 0 for name in named]))


def _taken(marks: Mask | None, rows: Index) -> Mask | None:
    return None if marks is None else marks[rows]


def _extended(labels: LabelTable, name: str, info: LabelTable, rows: Index, wanted: Mask) -> LabelTable:
    """One label of the info series added where the series has none; QueryError where two infos disagree.

    `wanted` tells the rows whose base series does not have the label itself.
    """
    codes, texts = info.column(name)
    there, there_texts = labels.column(name)
    merged, new = merge_dictionaries(there_texts, texts, codes[rows].astype(np.int32))
    if (wanted & (there != 0) & (new != 0) & (there != new)).any():
        raise QueryError(f"conflicting label: {name}")
    return with_column(labels, name, np.where(there != 0, there, new).astype(np.int32), merged)


def _newest(info: Vector, times: Vector) -> Vector:
    """Per identity and step only the info series with the newest sample."""
    mine, _, count = shared_groups(select_names(info.labels, _IDENTITY), select_names(info.labels, _IDENTITY))
    if info.rows == count:
        return info
    newest = np.full((count, info.steps), -np.inf)
    stamped = np.where(info.present, times.values, -np.inf)
    np.maximum.at(newest, mine, stamped)
    best = info.present & (stamped == newest[mine])
    tally = np.zeros((count, info.steps), np.int64)
    np.add.at(tally, mine, best)
    if (tally > 1).any():
        group, step = (int(axis[0]) for axis in np.nonzero(tally > 1))
        first, second = np.flatnonzero((mine == group) & best[:, step])[:2].tolist()
        at = round(newest[group, step] * 1000)
        raise QueryError(
            f"found duplicate series for info metric: existing {format_label_set(info.labels.labels(first))} @ {at}, "
            f"new {format_label_set(info.labels.labels(second))} @ {at}"
        )
    return replace(info, present=best).compact()
