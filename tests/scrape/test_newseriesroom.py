"""New series of a target while memory is short."""

from __future__ import annotations

import numpy as np

from trimon.fetch.request import Response
from trimon.memory.series import SERIES_BYTES_LATER, SeriesAdmission
from trimon.model.rows import Appended
from trimon.scrape.options import PoolOptions
from trimon.scrape.outcome import ScrapeOutcome
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target, build_target


def ok(text: str) -> Response:
    """A good answer."""
    body = text.encode()
    return Response(200, "OK", "text/plain; version=0.0.4", body, len(body))


def many(count: int, first: int = 0) -> Response:
    """A body of so many series, large enough for memory to be asked."""
    lines = "".join(
        f'a_metric_with_a_long_name{{number="{place}"}} {place}\n' for place in range(first, first + count)
    )
    return ok(lines)


class TestMemory:
    """New series while memory is short."""

    def session(self, series_max: int) -> tuple[ScrapeSession, SeriesAdmission]:
        admission = SeriesAdmission(series_max * SERIES_BYTES_LATER)
        options = PoolOptions("job")
        target = build_target({"__address__": "h:1"}, options)
        assert isinstance(target, Target)
        return ScrapeSession(target, options, admission=admission), admission

    def store(self, session: ScrapeSession, outcome: ScrapeOutcome, time_ms: int) -> int:
        """Grants every series a column; how many values the row has."""
        row = outcome.row
        first = 1_000_000 + time_ms
        columns = np.arange(first, first + len(row.new_series), dtype=np.int32)
        session.granted(Appended(columns, len(row.values)), time_ms)
        return len(row.values) + len(row.new_series)

    def test_a_target_that_is_new_fits_as_a_whole_or_not_at_all(self) -> None:
        """Nothing of it is stored, its scrape is a failed one, and the error says how much there is."""
        session, admission = self.session(4000)
        outcome = session.succeed(many(5000), 1000, 0.1)
        assert (session.state.health, admission.refused) == ("down", 5000)
        assert "5000 new series are refused" in session.state.last_error
        assert "--storage.memory-max" in session.state.last_error
        assert self.store(session, outcome, 1000) == 5
        assert admission.room == admission.coming == 4000
        session.succeed(many(2500), 2000, 0.1)
        assert session.state.health == "up"

    def test_known_series_go_on_and_new_ones_are_refused(self) -> None:
        """A known target that grows keeps what it has, in whatever order; when there is room the new ones come."""
        session, admission = self.session(4000)
        self.store(session, session.succeed(many(2500), 1000, 0.1), 1000)
        assert (admission.room, admission.coming) == (1500, 1500)
        for time_ms in (2000, 3000):
            outcome = session.succeed(many(6000, -3500), time_ms, 0.1)
            assert session.state.health == "up"
            assert "new series are refused" in session.state.last_error
            assert session.state.samples == 6000
            stored = self.store(session, outcome, time_ms)
            assert 2500 + 5 <= stored < 4000 + 5
        admission.series_max = 100_000
        admission.share_bytes = admission.series_max * SERIES_BYTES_LATER
        admission.refill(0, 0)
        outcome = session.succeed(many(6000, -3500), 4000, 0.1)
        assert session.state.last_error == ""
        assert self.store(session, outcome, 4000) == 6000 + 5

    def test_series_with_timestamps_of_their_own_are_refused_too(self) -> None:
        """They have no column, but take memory."""
        session, admission = self.session(4000)
        self.store(session, session.succeed(many(2500), 1000, 0.1), 1000)
        admission.refill(4000, 0)
        timed = "".join(f'a_timed_metric_with_a_name{{number="{place}"}} 1 1500\n' for place in range(3000))
        body = many(2500).body + timed.encode()
        outcome = session.succeed(ok(body.decode()), 2000, 0.1)
        assert outcome.batch is None
        assert "3000 new series are refused" in session.state.last_error
        assert self.store(session, outcome, 2000) == 2505

    def test_a_lost_row_gives_its_room_back(self) -> None:
        """Series that storage could not take are not counted for ever."""
        session, admission = self.session(4000)
        session.succeed(many(2500), 1000, 0.1)
        assert (admission.room, admission.coming) == (1500, 4000)
        session.lost("no disk")
        admission.refill(0, 0)
        assert admission.room == admission.coming == 4000

    def test_series_that_take_the_place_of_others_are_new(self) -> None:
        """A body as long as the one before may be all new series; each asks for room."""
        session, admission = self.session(100_000)
        self.store(session, session.succeed(many(2500), 1000, 0.1), 1000)
        for time_ms, first in ((2000, 1000), (3000, 40_000)):
            outcome = session.succeed(many(2500, first), time_ms, 0.1)
            assert session.state.last_error == ""
            assert self.store(session, outcome, time_ms) == 2505
        assert admission.room == 100_000 - 2500 - 1000 - 2500
