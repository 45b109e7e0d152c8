"""The memory that a target's new series are granted, from before a body is read until storage has them."""

from __future__ import annotations

from trimon.memory.series import LOOKED_AT_BYTES, SeriesAdmission, SeriesGrant
from trimon.scrape.bodylayouts import Layout
from trimon.scrape.columns import SeriesColumns
from trimon.scrape.exposition.bodymemory import BodyReading, Lateness
from trimon.scrape.exposition.records import SeriesRoomError


class NewSeriesRoom:
    """What one target may add to memory. Not thread-safe; belongs to its session.

    Without an `admission`, and for small bodies, whatever comes is taken. `drops`: relabeling may leave series of a body out.
    """

    def __init__(self, group: str, admission: SeriesAdmission | None, *, drops: bool) -> None:
        self.admission = admission
        self._group = group
        self._drops = drops
        # new series that memory was granted for, on their way to storage
        self._coming = 0

    def read(
        self,
        layout: Layout,
        columns: SeriesColumns,
        body: bytes,
        bounds_ms: tuple[int, int],
        is_late: Lateness,
    ) -> tuple[BodyReading, str]:
        """The numbers of a body, and what is wrong with it all the same. Raises BrokenBody and ExpositionError."""
        admission, group = self.admission, self._group
        grant = None
        if admission is not None and len(body) >= LOOKED_AT_BYTES:
            lines = layout.line_count
            grant = admission.grant(group, lines, 0 if lines else len(columns.held()), len(body))
        if admission is None or grant is None:
            return layout.read(body, bounds_ms, is_late), ""
        try:
            self._check_fits(layout, body, grant)
            reading = layout.read(body, bounds_ms, is_late, grant)
        except BaseException:
            admission.landed(admission.settle(group, grant))
            raise
        self._coming += admission.settle(group, grant)
        if not grant.refused:
            return reading, ""
        return reading, grant.text()

    def _check_fits(self, layout: Layout, body: bytes, grant: SeriesGrant) -> None:
        """Raises SeriesRoomError for a body that surely does not fit, although it must, before memory is taken to read it."""
        if not grant.is_whole or self._drops:
            return  # it may be that most of it is dropped
        series = layout.series_in(body)
        if not grant.reserve(series):
            grant.refused += series
            raise SeriesRoomError(grant.text())

    def landed(self) -> None:
        """The series that were on their way are stored, or lost."""
        if self._coming and self.admission is not None:
            self.admission.landed(self._coming)
        self._coming = 0
