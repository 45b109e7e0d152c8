"""Lookups of series, label names and label values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import cast
from urllib.parse import unquote_to_bytes

import numpy as np
from werkzeug.datastructures import MultiDict

from trimon.model.labels import Labels, format_labels
from trimon.model.matcher import Matcher, watched
from trimon.model.ordering import add_in_slices, sorted_by_text, sorted_in_slices
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.web.api.described import BETWEEN, LIMIT, LOOKUP, MATCH
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, success
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.pieces import json_list
from trimon.web.http.request import Request

LookUp = Callable[[Sequence[tuple[Matcher, ...]], int, int, int, Snapshot, Budget], list[object]]
"""From selectors, start, end (milliseconds), the most that is shown, and what there is, to what was found."""
Where = tuple[tuple[Matcher, ...], int, int]
Find = Callable[[Snapshot, *Where], Iterable[str]]
"""From what there is, matchers, start and end (milliseconds) to names or values."""

_FOREVER_MS = 2**52
# What a label set takes while it is sorted and written: its labels twice, its text, and JSON.
_SERIES_BYTES = 1500
_CHECKED_EVERY = 1024
_FIRST = itemgetter(0)
_ESCAPED = re.compile(r"U__((?:[a-zA-Z0-9:]|__|_[0-9a-fA-F]{1,6}_)*)", re.ASCII)
_ESCAPE = re.compile(r"__|_([0-9a-fA-F]{1,6})_", re.ASCII)


def unescape_label_name(name: str) -> str:
    """The label name of a path segment, which may be in the `U__` escaping."""
    match = _ESCAPED.fullmatch(name)
    if match is None:
        return name
    try:
        whole = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else "_", match[1])
        whole.encode()
    except ValueError:  # no character has this number, or half of one
        return name
    return whole


def check_label_path(raw_path: bytes) -> None:
    """Raises ApiError when the label name in `.../label/<name>/values` is no UTF-8."""
    name = unquote_to_bytes(raw_path.rpartition(b"/values")[0].rpartition(b"/label/")[2])
    try:
        name.decode()
    except UnicodeDecodeError:
        shown = name.decode(errors="backslashreplace")
        raise ApiError("bad_data", f'invalid label name: "{shown}"') from None


def series_endpoints(context: WebContext) -> list[Endpoint]:
    """/series, /labels, /label/<name>/values."""

    async def answer(request: Request, values: MultiDict[str, str], look_up: LookUp) -> Answer:
        start_ms = parameters.time_ms(values, "start", -_FOREVER_MS)
        end_ms = parameters.time_ms(values, "end", _FOREVER_MS)
        most, texts = parameters.limit(values), values.getlist("match[]")
        named = request.path.endswith("/series")
        is_somewhere = True
        if start_ms > end_ms:
            # Prometheus does not look which of the two is later: it finds what lies between, unless that is before its head.
            head_min_ms = context.store.figures().head_min_ms
            is_somewhere = head_min_ms is not None and end_ms >= head_min_ms

        def work(snapshot: Snapshot, budget: Budget) -> Answer:
            selectors = parameters.selectors(texts, budget.check, named=named)
            warnings: list[str] = []
            found: list[object] = []
            if is_somewhere:
                with watched(budget.check):
                    first_ms, last_ms = min(start_ms, end_ms), max(start_ms, end_ms)
                    found = look_up(selectors, first_ms, last_ms, most, snapshot, budget)
                    warnings.extend(snapshot.missing(first_ms, last_ms))
                found = parameters.truncated(found, most, warnings)
            data = json_list(found, budget.check, _members if named else None)
            return success(data, warnings, escaped=not named)

        return context.held(
            await context.queries.run(request.path, context.query_options(), work, asker=asker_of(request))
        )

    async def series(request: Request) -> Answer:
        values = await request.values(strict=True)
        if not values.getlist("match[]"):
            raise ApiError("bad_data", "no match[] parameter provided")
        return await answer(request, values, _series)

    async def names(request: Request) -> Answer:
        values = await request.values()
        return await answer(request, values, partial(_texts, _label_names))

    async def label_values(request: Request) -> Answer:
        name = request.path_values["name"]
        values = await request.values()
        if "\ufffd" in name:  # what is no UTF-8 has become this
            check_label_path(request.raw_path)
        label = unescape_label_name(name)

        def find(snapshot: Snapshot, *where: *Where) -> Iterable[str]:
            return snapshot.label_values(label, *where)

        return await answer(request, values, partial(_texts, find))

    return [
        Endpoint(
            API_PREFIX + "/series",
            ("GET", "POST"),
            series,
            summary="Finds series by their labels.",
            parameters=(replace(MATCH, required=True), *BETWEEN, LIMIT),
        ),
        Endpoint(
            API_PREFIX + "/labels",
            ("GET", "POST"),
            names,
            summary="Lists names of labels.",
            parameters=LOOKUP,
        ),
        Endpoint(
            API_PREFIX + "/label/<name>/values",
            ("GET",),
            label_values,
            summary="Lists the values of a label.",
            parameters=LOOKUP,
        ),
    ]


def _members(labels: object) -> object:
    """Labels as JSON has them."""
    return dict(cast("Labels", labels))


def _series(
    selectors: Sequence[tuple[Matcher, ...]],
    start_ms: int,
    end_ms: int,
    most: int,
    snapshot: Snapshot,
    budget: Budget,
) -> list[object]:
    """Distinct label sets in order; one more than `most`, so that the caller sees that there are more."""
    found: set[Labels] = set()
    for matchers in selectors:
        selection = snapshot.select(matchers, start_ms, end_ms)
        table = selection.labels
        budget.check()
        living = np.flatnonzero(selection.living(start_ms, end_ms)).tolist()
        shown = min(len(living), most + 1) if most and len(selectors) == 1 else len(living)
        budget.take_bytes(shown * _SERIES_BYTES, "label sets")
        budget.keep_bytes(shown * _SERIES_BYTES)
        for row in budget.watch(living):
            found.add(table.labels(row))
            if most and len(selectors) == 1 and len(found) > most:
                break
    named = []
    while found:
        labels = found.pop()
        named.append((format_labels(labels), labels))
        if not len(named) % _CHECKED_EVERY:
            budget.check()
    return [labels for _, labels in sorted_by_text(named, _FIRST)]


def _label_names(snapshot: Snapshot, *where: *Where) -> Iterable[str]:
    return snapshot.label_names(*where)


def _texts(
    find: Find,
    selectors: Sequence[tuple[Matcher, ...]],
    start_ms: int,
    end_ms: int,
    _most: int,
    snapshot: Snapshot,
    budget: Budget,
) -> list[object]:
    """Distinct names or values in order; those of everything where there are no selectors."""
    ordered = list[str]()
    found = set[str]()
    for place, matchers in enumerate(selectors or [()]):
        budget.check()
        ordered = list(find(snapshot, matchers, start_ms, end_ms))
        if place or len(selectors) > 1:
            add_in_slices(found, ordered)
    return [*(sorted_in_slices(found) if found else ordered)]
