"""The answer of an engine with Prometheus' query API as a result of ours, and one result out of two parts of a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import orjson

from trimon import limits
from trimon.errors import OperatingError
from trimon.model.labels import Labels, labels_of
from trimon.model.table import LabelTable
from trimon.query.answer.result import QueryResult, RangeSamples
from trimon.query.execution.grid import Grid
from trimon.query.execution.labelcodes import sort_order
from trimon.query.execution.stats import QueryStats
from trimon.query.execution.values import Matrix

_NO_HISTOGRAMS: Final = (
    "native histograms of an engine have no buckets that could be computed with: they are left out"
)


class BackendAnswerError(OperatingError):
    """An answer that is none."""


def read_backend(body: bytes, grid: Grid, known: Labels, *, ranged: bool) -> QueryResult:
    """The result in an answer at the times of a grid. Raises BackendAnswerError.

    Labels that have the value that `known` gives them are taken off: the server's own, which its samples do not have here.
    Times that are not of the grid are left out.
    """
    try:
        document = orjson.loads(body)
        if document["status"] != "success":
            raise BackendAnswerError(str(document.get("error", "no success"))[:500])
        data = document["data"]
        result = _result(data["resultType"], data["result"], grid, dict(known), ranged=ranged)
        told = [str(each)[:500] for each in (document.get("warnings") or [])[:20]]
    except orjson.JSONDecodeError:
        raise BackendAnswerError("the answer is no JSON") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError):
        raise BackendAnswerError("the answer is none to a query") from None
    result.warnings = (*told, *result.warnings)
    return result


def _result(kind: str, found: Any, grid: Grid, known: dict[str, str], *, ranged: bool) -> QueryResult:
    if ranged and kind != "matrix":
        raise BackendAnswerError(f"a range query is answered with {str(kind)[:40]!r}")
    if kind == "scalar":
        return _of_samples(kind, (), grid, np.array([[float(found[1])]]))
    if kind == "string":
        empty = _of_samples(kind, (), grid, np.zeros((0, grid.count)))
        return replace(empty, text=str(found[1]))
    if kind not in ("vector", "matrix"):
        raise BackendAnswerError(f"unknown type of result {str(kind)[:40]!r}")
    if len(found) * grid.count > limits.QUERY_SAMPLES_MAX:
        raise BackendAnswerError(
            f"{len(found)} series at {grid.count} times, and at most {limits.QUERY_SAMPLES_MAX} samples may be"
        )
    labels = [_labels(each["metric"], known) for each in found]
    points = [each.get("values") or ([each["value"]] if "value" in each else []) for each in found]
    if kind == "matrix" and not ranged:
        result = _windows(labels, points, grid)
    else:
        values = np.full((len(points), grid.count), np.nan)
        present = np.zeros(values.shape, np.bool_)
        for row, pairs in enumerate(points):
            steps, read = _placed(pairs, grid)
            values[row, steps], present[row, steps] = read, True
        result = replace(_of_samples(kind, labels, grid, values), present=present)
    if any(each.get("histogram") or each.get("histograms") for each in found):
        result.warnings = (_NO_HISTOGRAMS,)
    return result


def _labels(metric: dict[str, str], known: dict[str, str]) -> Labels:
    """Labels without those that are known. Raises TypeError for what is no text."""
    if not all(isinstance(value, str) for value in metric.values()):
        raise TypeError
    return labels_of({name: value for name, value in metric.items() if known.get(name) != value})


def _placed(pairs: Sequence[Any], grid: Grid) -> tuple[Any, Any]:
    """The steps of points, and their values."""
    times = np.round(np.array([pair[0] for pair in pairs], np.float64) * 1000).astype(np.int64)
    read = np.array([pair[1] for pair in pairs], dtype=np.float64)
    steps, rest = np.divmod(times - grid.start_ms, grid.step_ms)
    inside = (rest == 0) & (steps >= 0) & (steps < grid.count)
    return steps[inside], read[inside]


def _windows(labels: Sequence[Labels], points: Sequence[Sequence[Any]], grid: Grid) -> QueryResult:
    flat = [pair for pairs in points for pair in pairs]
    samples = RangeSamples(
        np.concatenate([[0], np.cumsum([len(pairs) for pairs in points])]).astype(np.int64),
        np.round(np.array([pair[0] for pair in flat], np.float64) * 1000).astype(np.int64),
        np.array([pair[1] for pair in flat], dtype=np.float64),
    )
    return replace(_of_samples("matrix", labels, grid, np.zeros((len(points), 0))), samples=samples)


def _of_samples(kind: str, labels: Sequence[Labels], grid: Grid, values: Matrix) -> QueryResult:
    table = LabelTable.of(labels) if kind != "scalar" else LabelTable(1, (), (), ())
    return QueryResult(
        kind, table, grid.times_ms(), values, np.ones(values.shape, np.bool_), QueryStats(grid.count)
    )


def joined(first: QueryResult, rest: QueryResult) -> QueryResult:
    """One result of two parts of a range: the steps of `first`, then those of `rest`, each series once."""
    places: dict[Labels, int] = {}
    rows = [
        np.array(
            [places.setdefault(part.labels.labels(row), len(places)) for row in range(part.series)], np.intp
        )
        for part in (first, rest)
    ]
    steps = [len(part.times_ms) for part in (first, rest)]
    values = np.full((len(places), sum(steps)), np.nan)
    present = np.zeros(values.shape, np.bool_)
    values[rows[0], : steps[0]], present[rows[0], : steps[0]] = first.values, first.present
    values[rows[1], steps[0] :], present[rows[1], steps[0] :] = rest.values, rest.present
    cells = None
    if (histograms := rest.histograms) is not None:
        cells = np.full(values.shape, None, np.object_)
        cells[rows[1], steps[0] :] = histograms
    table = LabelTable.of(list(places))
    order = sort_order(table)
    return replace(
        rest,
        labels=table.take(order),
        times_ms=np.concatenate([first.times_ms, rest.times_ms]),
        values=values[order],
        present=present[order],
        warnings=(*first.warnings, *rest.warnings),
        cells=None if cells is None else cells[order],
        native=None,
    )
