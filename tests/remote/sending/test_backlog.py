"""Batches, and the savepoint that follows from what is sent of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trimon.model.relabel import Relabeling
from trimon.remote.sending.answers import Verdict, judge, retry_after_s
from trimon.remote.sending.backlog import Backlog, spread
from trimon.remote.sending.entries import Counted, Entries
from trimon.remote.sending.resharding import Demand
from trimon.remote.sending.series import SeriesTable


def table_of(count: int) -> SeriesTable:
    table = SeriesTable((), Relabeling(()), histograms=False, symbols=False)
    table.resolve([(("__name__", "m"), ("n", str(number))) for number in range(count)])
    return table


def log_of(series: list[int]) -> Entries:
    """A sample for each series, in order; the value says which it is."""
    numbers = np.array(series, np.int32) + 1
    return Entries(numbers, np.arange(len(series), dtype=np.int64), np.arange(len(series), dtype=np.float64))


def sent_of(
    log: Entries, begin: int, skip: list[Counted], cuts: list[int], shards: int, order: list[int], size: int
) -> tuple[list[float], Backlog[int]]:
    """What shards send when they take turns in this order, from a position on."""
    table = table_of(8)
    backlog: Backlog[int] = Backlog(shards, begin, skip)
    places = sorted({begin, len(log.series), *(cut for cut in cuts if cut > begin)})
    for one, other in pairwise(places):
        part = log.cut(Counted(one), Counted(other))
        backlog.add(other, spread(table, part, shards))
    sent: list[float] = []
    for shard in order:
        batch = backlog.take(shard % shards, size)
        if batch is not None:
            sent += batch.entries.values.tolist()
            backlog.done(batch)
    return sent, backlog


@given(
    st.lists(st.integers(0, 7), max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 4),
    st.lists(st.integers(0, 3), max_size=30),
    st.integers(1, 9),
)
def test_who_goes_on_at_the_savepoint_sends_the_rest_and_nothing_else(
    series: list[int], cuts: list[int], other: list[int], shards: int, order: list[int], size: int
) -> None:
    """Whatever was sent when the process ended and however the log is cut into reads: nothing is lost or sent again."""
    log = log_of(series)
    cuts = [min(cut, len(series)) for cut in cuts]
    first, backlog = sent_of(log, 0, [], cuts, shards, order, size)
    assert backlog.waiting == Counted(len(series) - len(first))
    other = [min(cut, len(series)) for cut in other]
    everybody = list(range(shards)) * 70
    rest, after = sent_of(log, backlog.position, backlog.beyond(), other, shards, everybody, size)
    assert sorted(first + rest) == list(range(len(series)))
    assert after.unsent == after.waiting.total == 0


def test_verdicts_of_answers() -> None:
    """Server errors are retried, refusals are final, 429 as configured; a 2.0 answer that wrote nothing is a loss."""
    sent = Counted(5)

    def verdict(status: int, *, second: bool = False, retries: bool = False, **headers: str) -> Verdict:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return judge(status, "x", b"", named, sent, is_second=second, retries_429=retries, now_ms=0).verdict

    assert verdict(204) is Verdict.TAKEN
    assert verdict(503) is Verdict.RETRY
    assert [verdict(status) for status in (400, 415, 429)] == [Verdict.LOST] * 3
    assert verdict(429, retries=True) is Verdict.RETRY
    assert verdict(204, second=True) is Verdict.LOST
    assert verdict(204, second=True, x_prometheus_remote_write_samples_written="5") is Verdict.TAKEN


def test_retry_after_is_seconds_or_a_date() -> None:
    """Both forms say how long to wait; nonsense says nothing."""
    assert retry_after_s("3", 0) == 3.0
    assert retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", 10_000) == 50.0
    assert retry_after_s("soon", 0) == 0.0


def test_the_number_of_shards_follows_the_time_that_sending_takes() -> None:
    """A sender that is busy twice as long as there is time needs two shards; near enough is left alone."""
    demand = Demand()
    for _ in range(50):
        demand.came.add(10_000)
        demand.sent.add(10_000)
        demand.sending.add(20.0)
        demand.tick()
    assert demand.shards(1, 0.0, 1, 50) == 2
    assert demand.shards(2, 0.0, 1, 50) == 2
    assert demand.shards(1, 0.0, 1, 1) == 1
    assert demand.shards(8, 60.0, 1, 50) == 8
    assert demand.shards(8, 0.0, 1, 50) == 2
