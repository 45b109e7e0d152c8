"""Metadata, exemplars, statistics and figures."""

from __future__ import annotations

from tests.storage.conftest import ALL, START_MS, Bench, first_row, series
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Exemplars, Metadata
from trimon.storage.exemplars import DISABLED, OUT_OF_ORDER, TOO_LONG, StoredExemplar

T = START_MS


def test_metadata_survives_restarts_and_the_end_of_its_log(bench: Bench) -> None:
    """The last word on a family is kept in the log and, once that is gone, in a file."""
    bench.store.append([Metadata((("up", "gauge", "Old.", ""), ("x_total", "counter", "Xs.", "")))])
    bench.store.append([Metadata((("up", "gauge", "Whether it is up.", ""),))])
    wanted = {"up": ("gauge", "Whether it is up.", ""), "x_total": ("counter", "Xs.", "")}
    assert bench.store.metadata == wanted
    bench.reopen()
    assert bench.store.metadata == wanted
    bench.append(first_row("g", T, {series("up"): 1.0}))
    bench.clock.value_ms = T + 3 * 3_600_000
    for job in bench.store.plan(bench.clock.now_ms()):
        job.run()
        job.install()
    bench.reopen()
    assert bench.store.metadata == wanted


def test_exemplars_are_ordered_bounded_and_replayed(bench: Bench) -> None:
    """A ring keeps the newest arrivals; older, repeated and overlong ones are refused as Prometheus does."""
    bench.configure(exemplars_max=3)
    one, two = series("a"), series("b")
    trace = (("trace_id", "x"),)
    answers = bench.store.append_exemplars(
        [
            StoredExemplar(one, trace, 1.0, T),
            StoredExemplar(one, trace, 1.0, T),
            StoredExemplar(one, trace, 2.0, T - 1),
            StoredExemplar(one, (("trace_id", "y" * 121),), 2.0, T + 1),
            StoredExemplar(one, trace, 0.5, T),
            StoredExemplar(two, trace, 3.0, T + 2),
        ]
    )
    assert answers == ["", "", OUT_OF_ORDER, TOO_LONG, OUT_OF_ORDER, ""]
    equal_a = (Matcher("__name__", MatchType.EQUAL, "a"),)
    found = bench.store.exemplars.query([ALL], T, T + 10)
    assert found == [
        (one, [StoredExemplar(one, trace, 1.0, T)]),
        (two, [StoredExemplar(two, trace, 3.0, T + 2)]),
    ]
    assert bench.store.exemplars.query([equal_a], T, T + 10) == found[:1]
    bench.store.append_exemplars([StoredExemplar(one, trace, float(i), T + 10 + i) for i in range(3)])
    assert [series for series, _ in bench.store.exemplars.query([ALL], 0, T * 2)] == [one]
    bench.reopen()
    assert len(bench.store.exemplars) == 3
    bench.configure(exemplars_max=0)
    assert bench.store.append_exemplars([StoredExemplar(one, trace, 1.0, T)]) == [DISABLED]


def test_statistics_count_each_series_once(bench: Bench) -> None:
    """Counts by metric, label and pair over all heads, in descending order, with Prometheus' memory figure."""
    cells = {series("m", i=str(i), job="x"): 1.0 for i in range(4)} | {series("n", job="y"): 2.0}
    bench.append(first_row("g", T, cells))
    bench.reopen()
    bench.append(first_row("g", T + 1000, cells), first_row("h", T + 1000, {series("new"): 1.0}))
    stats = bench.store.statistics(2)
    assert (stats.series, stats.label_pairs, stats.min_ms, stats.max_ms) == (6, 9, T, T + 1000)
    assert stats.series_by_metric[0] == ("m", 4)
    assert stats.values_by_label == [("i", 4), ("__name__", 3)]
    assert stats.series_by_pair == [("__name__=m", 4), ("job=x", 4)]
    assert dict(stats.bytes_by_label)["__name__"] == 4 * 11 + 11 + 13


def test_figures_tell_what_is_held(bench: Bench) -> None:
    """Gauges follow what is stored, counters what was refused."""
    assert bench.store.figures().head_min_ms is None
    bench.append(first_row("g", T, {series("a"): 1.0}), first_row("g", T - 1, {series("a"): 1.0}))
    figures = bench.store.figures()
    assert (figures.head_series, figures.head_samples, figures.head_min_ms) == (1, 1, T)
    assert figures.counts["out_of_order"] == 1
    assert figures.wal_bytes > 0
    assert figures.head_bytes > 0


def test_a_set_that_is_shown_again_is_not_late(bench: Bench) -> None:
    """Of the exemplars of one series only those count as out of order that have none beside them that is not."""
    a, b = series("a"), series("b")

    def told(*exemplars: tuple[Labels, int, float]) -> int:
        rows = tuple((labels, (), value, time_ms) for labels, time_ms, value in exemplars)
        (answer,) = bench.store.append([Exemplars(rows)])
        return answer.out_of_order

    shown = ((a, START_MS, 1.0), (a, START_MS, 2.0), (b, START_MS, 1.0))
    assert told(*shown) == 0
    assert told(*shown) == 0
    assert told((a, START_MS - 1, 1.0), (a, START_MS - 2, 2.0), (b, START_MS, 1.0)) == 2
    assert told((a, START_MS - 1, 1.0), (b, START_MS + 1, 1.0)) == 1
