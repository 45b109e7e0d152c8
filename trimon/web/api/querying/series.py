"""Lookups of series, label names and label values."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from urllib.parse import unquote_to_bytes

import numpy as np

from trimon.gotext.strings import go_json
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher, watched
from trimon.model.ordering import add_in_slices, sorted_in_slices
from trimon.model.snapshot import Snapshot
from trimon.model.table import LabelTable
from trimon.query.execution.budget import Budget
from trimon.records import dataclass
from trimon.storage.figures import StoreFigures
from trimon.web.api.described import BETWEEN, LIMIT, LOOKUP, MATCH
from trimon.web.api.querying.lookups import Lookups, SeriesTexts
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, ApiError, success
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.multidict import MultiDict
from trimon.web.http.pieces import json_list
from trimon.web.http.request import Request

Where = tuple[tuple[Matcher, ...], int, int]
Find = Callable[[Snapshot, *Where], Iterable[str]]
"""From what there is, matchers, start and end (milliseconds) to names or values."""

_FOREVER_MS = 2**52
# What a label set takes while it is sorted and written: its labels twice, its text, and JSON.
_SERIES_BYTES = 1500
# What its text takes while the list is put together.
_TEXT_BYTES = 600
# Of what is asked, in the list of active queries.
_TITLE_CHARACTERS = 4096
_ESCAPED = re.compile(r"U__((?:[a-zA-Z0-9:]|__|_[0-9a-fA-F]{1,6}_)*)", re.ASCII)
_ESCAPE = re.compile(r"__|_([0-9a-fA-F]{1,6})_", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A lookup: of what, by which selectors, over which closed interval, and the most that is shown (0: all)."""

    what: str
    selectors: tuple[str, ...]
    start_ms: int
    end_ms: int
    most: int

    @property
    def title(self) -> str:
        """As the list of active queries shows it."""
        return " ".join((self.what, *self.selectors))[:_TITLE_CHARACTERS]

    @property
    def question(self) -> Hashable:
        """What a whole answer is remembered by."""
        return self.what, self.selectors, self.most


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


def _has_both(figures: StoreFigures, start_ms: int, end_ms: int) -> bool:
    """Whether a start is no later, and an end before it no earlier, than everything in the head."""
    first_ms, last_ms = figures.head_min_ms, figures.head_max_ms
    return first_ms is not None and last_ms is not None and first_ms <= end_ms and start_ms <= last_ms


def series_endpoints(context: WebContext) -> list[Endpoint]:
    """/series, /labels, /label/<name>/values."""

    lookups = Lookups()

    async def answer(request: Request, values: MultiDict[str, str], what: str, find: Find | None) -> Answer:
        most = parameters.limit(values)
        start_ms = parameters.time_ms(values, "start", -_FOREVER_MS)
        end_ms = parameters.time_ms(values, "end", _FOREVER_MS)
        asked = _Asked(what, tuple(values.getlist("match[]")), start_ms, end_ms, most)
        is_somewhere = True
        if start_ms > end_ms:
            # Prometheus does not look which of the two is later: it finds what lies between, where its head has both.
            is_somewhere = _has_both(context.store.figures(), start_ms, end_ms)
            asked = replace(asked, start_ms=end_ms, end_ms=start_ms)

        def work(snapshot: Snapshot, budget: Budget) -> Answer:
            selectors = parameters.selectors(asked.selectors, budget.check, named=find is None)
            warnings: list[str] = []
            data = b"[]"
            if is_somewhere:
                with watched(budget.check):
                    if find is None:
                        data = _series(lookups, asked, selectors, snapshot, budget, warnings)
                    else:
                        data = _texts(lookups, asked, selectors, find, snapshot, budget, warnings)
                    warnings[:0] = snapshot.missing(asked.start_ms, asked.end_ms)
            return success(data, warnings, escaped=False)

        queries, options = context.queries, context.query_options()
        found = queries.run_quick(asked.title, options, work)
        if found is None:
            found = await request.attended(
                lambda: queries.run(asked.title, options, work, asker=asker_of(request)), half_closed=True
            )
        return context.held(found)

    async def series(request: Request) -> Answer:
        values = await request.values(strict=True)
        if not values.getlist("match[]"):
            raise ApiError("bad_data", "no match[] parameter provided")
        return await answer(request, values, "series", None)

    async def names(request: Request) -> Answer:
        values = await request.values()
        return await answer(request, values, "labels", _label_names)

    async def label_values(request: Request) -> Answer:
        name = request.path_values["name"]
        values = await request.values()
        if "\ufffd" in name:  # what is no UTF-8 has become this
            check_label_path(request.raw_path)
        label = unescape_label_name(name)
        if not label:  # of an escaping of nothing
            raise ApiError("bad_data", 'invalid label name: ""')

        def find(snapshot: Snapshot, *where: *Where) -> Iterable[str]:
            return snapshot.label_values(label, *where)

        return await answer(request, values, f"values of {label}", find)

    return [
        Endpoint(
            API_PREFIX + "/series",
            ("GET", "POST"),
            series,
            watches_client=True,
            summary="Finds series by their labels.",
            parameters=(replace(MATCH, required=True), *BETWEEN, LIMIT),
        ),
        Endpoint(
            API_PREFIX + "/labels",
            ("GET", "POST"),
            names,
            watches_client=True,
            summary="Lists names of labels.",
            parameters=LOOKUP,
        ),
        Endpoint(
            API_PREFIX + "/label/<name>/values",
            ("GET",),
            label_values,
            watches_client=True,
            summary="Lists the values of a label.",
            parameters=LOOKUP,
        ),
    ]


def _series(
    lookups: Lookups,
    asked: _Asked,
    selectors: Sequence[tuple[Matcher, ...]],
    snapshot: Snapshot,
    budget: Budget,
    warnings: list[str],
) -> bytes:
    """Distinct label sets in order, as JSON."""
    if len(selectors) > 1:
        return _series_of_several(asked, selectors, snapshot, budget, warnings)
    selection = snapshot.select(selectors[0], asked.start_ms, asked.end_ms)
    table = selection.labels
    budget.check()
    living = selection.living(asked.start_ms, asked.end_ms)
    if asked.most and int(np.count_nonzero(living)) > asked.most:
        chosen = np.flatnonzero(living)[: asked.most]
        warnings.append(parameters.TRUNCATED)
        budget.take_bytes(asked.most * _TEXT_BYTES, "label sets")
        return SeriesTexts.of(table.take(chosen), budget.check).shown(np.ones(len(chosen), np.bool_))
    budget.take_bytes(table.rows * _TEXT_BYTES, "label sets")
    version = snapshot.labels_version(asked.start_ms, asked.end_ms)
    return lookups.series(asked.question, version, lambda: SeriesTexts.of(table, budget.check)).shown(living)


def _series_of_several(
    asked: _Asked,
    selectors: Sequence[tuple[Matcher, ...]],
    snapshot: Snapshot,
    budget: Budget,
    warnings: list[str],
) -> bytes:
    """The same for several selectors, which may find the same series."""
    found: set[Labels] = set()
    for matchers in selectors:
        selection = snapshot.select(matchers, asked.start_ms, asked.end_ms)
        table = selection.labels
        budget.check()
        living = np.flatnonzero(selection.living(asked.start_ms, asked.end_ms)).tolist()
        budget.take_bytes(len(living) * _SERIES_BYTES, "label sets")
        budget.keep_bytes(len(living) * _SERIES_BYTES)
        found.update(table.labels(row) for row in budget.watch(living))
    if not found:
        return b"[]"
    table = LabelTable.of(list(found))
    texts = SeriesTexts.of(table, budget.check)
    shown = np.ones(table.rows, np.bool_)
    if asked.most and table.rows > asked.most:
        warnings.append(parameters.TRUNCATED)
        shown[texts.rows[asked.most :]] = False
    return texts.shown(shown)


def _label_names(snapshot: Snapshot, *where: *Where) -> Iterable[str]:
    return snapshot.label_names(*where)


def _texts(
    lookups: Lookups,
    asked: _Asked,
    selectors: Sequence[tuple[Matcher, ...]],
    find: Find,
    snapshot: Snapshot,
    budget: Budget,
    warnings: list[str],
) -> bytes:
    """Distinct names or values in order, as JSON; those of everything where there are no selectors."""
    version = snapshot.labels_version(asked.start_ms, asked.end_ms)
    known = lookups.texts(asked.question, version)
    if known is not None:
        return known
    ordered = list[str]()
    found = set[str]()
    for place, matchers in enumerate(selectors or [()]):
        budget.check()
        ordered = list(find(snapshot, matchers, asked.start_ms, asked.end_ms))
        if place or len(selectors) > 1:
            add_in_slices(found, ordered)
    shown = sorted_in_slices(found) if found else ordered
    if asked.most and len(shown) > asked.most:
        warnings.append(parameters.TRUNCATED)
        return go_json(json_list(shown[: asked.most], budget.check))
    data = go_json(json_list(shown, budget.check))
    lookups.remember_texts(asked.question, version, data)
    return data
