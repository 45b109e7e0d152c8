"""`info(v, {selector})`: labels of info metrics added to the series they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from trimon.model.labels import INSTANCE_LABEL, JOB_LABEL, METRIC_NAME
from trimon.model.matcher import Matcher, MatchType
from trimon.query.context import Context, Operator
from trimon.query.errors import QueryError
from trimon.query.grid import Grid
from trimon.query.labelcodes import select_names, shared_groups, with_column
from trimon.query.nodes import Call, Expr, MatrixSelector, VectorSelector, children, unwrap
from trimon.query.operators.binary import stack
from trimon.query.operators.matching import format_set
from trimon.query.operators.names import merge_equal
from trimon.query.operators.select import Pick
from trimon.query.values import Index, Mask, Value, Vector

if TYPE_CHECKING:
    from trimon.query.plan import Planner

_IDENTITY: Final = (INSTANCE_LABEL, JOB_LABEL)
_DEFAULT: Final = "target_info"


def plan_info(planner: Planner, expr: Call, grid: Grid) -> Operator:
    """The operator of an `info` call: the base vector, and the info series with their timestamps."""
    selector = expr.args[1] if len(expr.args) > 1 else None
    matchers = selector.matchers if isinstance(selector, VectorSelector) else ()
    names = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
    data = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
    chosen = list(names)
    positive = [m for m in names if m.type in (MatchType.EQUAL, MatchType.REGEXP)]
    if not names:
        chosen = [Matcher(METRIC_NAME, MatchType.EQUAL, _DEFAULT)]
    elif not positive:
        chosen.append(Matcher(METRIC_NAME, MatchType.REGEXP, ".+_info"))
    base = _first_selector(expr.args[0])
    modifiers = base.modifiers if base is not None else VectorSelector("", ()).modifiers
    wanted = VectorSelector("", (*chosen, *data), modifiers)
    return InfoOperator(
        planner.plan(expr.args[0], grid),
        planner.select(wanted, grid, Pick.VALUE),
        planner.select(wanted, grid, Pick.TIME),
        tuple(chosen),
        tuple(data),
    )


def _first_selector(expr: Expr) -> VectorSelector | None:
    bare = unwrap(expr)
    if isinstance(bare, VectorSelector):
        return bare
    if isinstance(bare, MatrixSelector):
        return bare.vector
    for child in children(bare):
        found = _first_selector(child)
        if found is not None:
            return found
    return None


class InfoOperator(Operator):
    """Inputs: the base vector, the info series' values, the same series' sample times."""

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

    def compute(self, context: Context, inputs: list[Value]) -> Value:
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
        added: dict[str, None] = {}
        for code in sorted(np.unique(codes).tolist(), key=lambda code: texts[code]):
            rows = np.flatnonzero(codes == code)
            newest = _newest(info.take(rows), times.take(rows))
            current, matched, origin = self._join(base, current, matched, origin, newest, added)
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
        added: dict[str, None],
    ) -> tuple[Vector, Mask, Index]:
        mine, theirs, _ = shared_groups(
            select_names(current.labels, _IDENTITY), select_names(info.labels, _IDENTITY)
        )
        wanted = {matcher.name for matcher in self.data}
        names = [
            name
            for name in info.labels.names
            if name not in (*_IDENTITY, METRIC_NAME) and (not wanted or name in wanted)
        ]
        left, right = np.nonzero(mine[:, None] == theirs[None, :])
        met = current.present[left] & info.present[right]
        alone = current.present.copy()
        np.logical_and.at(alone, left, ~met)
        upper = current.take(left)
        labels = upper.labels
        for name in names:
            codes, texts = info.labels.column(name)
            there, there_texts = labels.column(name)
            base_codes = base.labels.column(name)[0][origin[left]]
            mine_text, new = there, codes[right]
            if name in added and np.any((there != 0) & (new != 0) & (base_codes == 0) & met.any(axis=1)):
                both = np.flatnonzero((there != 0) & (new != 0) & (base_codes == 0) & met.any(axis=1))
                if any(there_texts[there[i]] != texts[new[i]] for i in both.tolist()):
                    raise QueryError(f"conflicting label: {name}")
            merged = [*there_texts, *texts[1:]]
            shifted = np.where(new == 0, 0, new + len(there_texts) - 1)
            labels = with_column(
                labels, name, np.where(mine_text != 0, mine_text, shifted).astype(np.int32), _unique(merged)
            )
        for name in names:
            added[name] = None
        upper = replace(upper, labels=_compacted(labels), present=met)
        both_vectors = stack(upper, replace(current, present=alone))
        flags = np.concatenate([np.ones_like(met), matched])
        origins = np.concatenate([origin[left], origin])
        alive = np.flatnonzero(both_vectors.present.any(axis=1))
        return both_vectors.take(alive), flags[alive], origins[alive]


def _unique(texts: list[str]) -> list[str]:
    return texts


def _compacted(labels: object) -> object:
    return labels


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
        at = int(round(newest[group, step] * 1000))
        raise QueryError(
            f"found duplicate series for info metric: existing {format_set(info.labels.labels(first))} @ {at}, "
            f"new {format_set(info.labels.labels(second))} @ {at}"
        )
    return replace(info, present=best).compact()
