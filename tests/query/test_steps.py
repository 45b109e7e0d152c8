"""Every step of a range query shows what an instant query at that time shows: random queries, the seed printed."""

from __future__ import annotations

import math
import re

from tests.query.fuzz_grammar import Generator
from tests.support.promql_data import odd_store
from tests.support.seeds import new_seed
from trimon.errors import UserError
from trimon.model.histogram import FloatHistogram
from trimon.model.labels import Labels
from trimon.query.answer.result import QueryResult
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, DELAYED_NAME_REMOVAL, QueryOptions

QUERIES = 400
STEPS = 6
# These tell an instant from a range.
OF_THE_WHOLE = ("start()", "end()", "range(", "step(")
# What a range has no room or time for, its instants have.
TOO_MUCH = ("too many samples", "timed out")
# Sorting has no effect in a range, and which series are the first ones depends on it.
_FIRST_SORTED = re.compile(r"limitk.*sort|sort.*limitk")
_SUBQUERY = re.compile(r"\[[^\]]*:")
Shown = dict[Labels, float | FloatHistogram]


def at(result: QueryResult, column: int) -> Shown:
    """The vector of one step."""
    out: Shown = {}
    for row in range(result.series):
        cell = None if result.histograms is None else result.histograms[row, column]
        if result.present[row, column]:
            out[result.labels.labels(row)] = float(result.values[row, column]) if cell is None else cell
    return out


def near(one: float | FloatHistogram, other: float | FloatHistogram) -> bool:
    """Equal but for the order of additions."""
    if isinstance(one, float) and isinstance(other, float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6)
    if isinstance(one, float) or isinstance(other, float):
        return False
    pairs = ((one.count, other.count), (one.sum, other.sum), (one.zero_count, other.zero_count))
    buckets = [side.compact().positive.index.tolist() for side in (one, other)]
    return one.schema == other.schema and buckets[0] == buckets[1] and all(near(a, b) for a, b in pairs)


def test_ranges_show_their_instants() -> None:
    """A range query fails where one of its instants fails, and shows at each step what the instant shows."""
    seed = new_seed()
    store, compared = odd_store(), 0
    for index in range(QUERIES):
        generator = Generator(seed * 1_000_003 + index)
        query = generator.query()
        if any(word in query for word in OF_THE_WHOLE) or _FIRST_SORTED.search(query):
            continue
        late = generator.random.random() < 0.5
        options = QueryOptions(
            features=ALL_LANGUAGE_FEATURES - (frozenset() if late else {DELAYED_NAME_REMOVAL}),
            samples_max=2_000_000,
            timeout_s=20,
        )
        step = generator.random.choice((1000, 15_000, 60_000, 77_777))
        start = generator.random.choice((0, 300_000, -100_000, 411_111))
        shown = f"seed {seed}, query {index}: {query!r} from {start} by {step}"
        times = range(start, start + STEPS * step, step)
        failures: list[str] = []
        instants: list[QueryResult] = []
        ranged: QueryResult | None = None
        try:
            ranged = range_(store, query, start, times[-1], step, options, Budget(options))
        except UserError:
            continue
        except QueryError as error:
            failures.append(str(error))
        failed_at: list[str] = []
        for time_ms in times:
            try:
                instants.append(instant(store, query, time_ms, options, Budget(options)))
            except QueryError as error:
                failed_at.append(str(error))
        if any(word in text for word in TOO_MUCH for text in (*failures, *failed_at)):
            continue
        # Of a range the inside of a subquery is evaluated between its windows, too, and may fail there.
        if not _SUBQUERY.search(query):
            assert bool(failures) <= bool(failed_at), f"{shown}: {failures}"
        assert bool(failed_at) <= bool(failures), f"{shown}: {failed_at[:1]}"
        if ranged is None:
            continue
        if instants[0].type == "scalar":
            instants_shown: list[Shown] = [{(): float(result.values[0, 0])} for result in instants]
        else:
            instants_shown = [at(result, 0) for result in instants]
        for column, wanted in enumerate(instants_shown):
            got = at(ranged, column)
            assert got.keys() == wanted.keys(), f"{shown}, step {column}"
            assert all(near(got[labels], wanted[labels]) for labels in got), f"{shown}, step {column}"
        compared += 1
    assert compared > QUERIES / 10
