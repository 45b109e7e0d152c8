"""What a query read of storage, so that it can be told later whether it would read the same again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from trimon.errors import OperatingError
from trimon.model.matcher import Matcher
from trimon.model.snapshot import NotFetched, Snapshot, StatefulSnapshot
from trimon.query.execution.context import QueryContext, SampleSource


class _NotKept(Exception):
    """Samples would have to be read from storage."""


def _refuse(size_bytes: int) -> None:
    del size_bytes
    raise _NotKept


class SourceRead(NamedTuple):
    """The series and samples of one source. Storage keeps frames of what is asked often: the same one has the same samples.

    `labels` and `facts` are the notes of the table and of the frame that were read, which no other has.
    """

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int
    labels: object
    facts: object

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot still has this table and this frame. Looks for nothing and reads nothing in storage."""
        if not isinstance(snapshot, StatefulSnapshot):
            return False
        try:
            selection = snapshot.known_selection(self.matchers, self.start_ms, self.end_ms)
            if selection is None or selection.labels.notes is not self.labels:
                return False
            frame = selection.wide_frame(self.start_ms, self.end_ms, _refuse)
        except (_NotKept, NotFetched, OperatingError):
            return False
        return frame.facts is self.facts and not frame.missing


def reads_of(context: QueryContext, sources: Iterable[SampleSource]) -> tuple[SourceRead, ...] | None:
    """All that a query read, where its plan has these sources; None where storage keeps none of it, or not all."""
    found = []
    for source in sources:
        read = context.read_of(source)
        if read is None:
            continue
        selection, frame = read
        if frame.facts is None or frame.native is not None or frame.missing:
            return None
        found.append(
            SourceRead(source.matchers, source.start_ms, source.end_ms, selection.labels.notes, frame.facts)
        )
    return tuple(found) if len(found) == context.selected else None
