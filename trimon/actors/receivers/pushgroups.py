"""Groups of metrics that programs pushed: each is shown again and again until it is replaced, deleted or too old.

PUT     the group shows the body alone           push ──> row now ──> row every interval ──> ... ──> staleness markers
POST    families of the body replace their like                                    after ttl, a DELETE, or at a stop
DELETE  the group ends
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

import numpy as np
import trio

from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.storage.writer import Writer
from trimon.clock import Clock
from trimon.config.own.receivers import PushgatewayConfig
from trimon.errors import OperatingError, UserError
from trimon.log import Log
from trimon.model.labels import METRIC_NAME, Labels, format_label_set, labels_of
from trimon.model.rows import Appended, Metadata, Row
from trimon.records import dataclass
from trimon.scrape.pushed import FAILED_AT, PUSHED_AT, PushedBody, PushedFamily, shown_series

_OWN_METADATA: Final = Metadata(
    (
        (PUSHED_AT, "gauge", "Last Unix time when changing this group succeeded.", ""),
        (FAILED_AT, "gauge", "Last Unix time when changing this group failed.", ""),
    )
)
# Groups whose rows are sent to storage at a stretch; whatever else waits for the loop has its turn between them.
_GROUPS_AT_ONCE: Final = 50
# Every group shows when it was pushed to: a flood of empty ones is bounded as well.
_OWN_SERIES: Final = 2


class PushLimit(OperatingError):
    """There are as many groups or series as there may be."""


@dataclass(slots=True)
class PushGroup:
    """What one group shows."""

    labels: Labels
    families: dict[str, PushedFamily] = field(default_factory=dict)
    pushed_ms: int = 0
    failed_ms: int = 0
    told_ms: int = 0
    """The time of its last row."""
    counted: int = 0
    """How many series it has of the most that there may be."""
    columns: dict[Labels, int] = field(default_factory=dict)
    """Those that storage granted."""

    @property
    def name(self) -> str:
        """Its scrape group in storage."""
        return f"push/{format_label_set(self.labels)}"

    @property
    def series(self) -> int:
        """How many series it shows."""
        return shown_series(self.families)

    def row(self, now_ms: int, *, ends: bool = False) -> Row:
        """What it shows, at a time after that of the last row."""
        self.told_ms = max(now_ms, self.told_ms + 1)
        shown: dict[Labels, float] = {} if ends else self._own()
        for family in () if ends else self.families.values():
            shown.update(zip(family.series, family.values.tolist(), strict=True))
        held = [labels for labels in shown if labels in self.columns]
        new = [labels for labels in shown if labels not in self.columns]
        gone = [column for labels, column in self.columns.items() if labels not in shown]
        return Row(
            self.name,
            self.told_ms,
            np.array([self.columns[labels] for labels in held], np.int32),
            np.array([shown[labels] for labels in held], np.float64),
            tuple(new),
            np.array([shown[labels] for labels in new], np.float64),
            np.array(gone, np.int32),
        )

    def _own(self) -> dict[Labels, float]:
        own = dict(self.labels)
        return {
            labels_of({**own, METRIC_NAME: PUSHED_AT}): self.pushed_ms / 1000,
            labels_of({**own, METRIC_NAME: FAILED_AT}): self.failed_ms / 1000,
        }

    def granted(self, row: Row, answer: Appended) -> None:
        """Storage's answer to a row."""
        ended = set(row.ended.tolist())
        self.columns = {labels: column for labels, column in self.columns.items() if column not in ended}
        for labels, column in zip(row.new_series, answer.columns.tolist(), strict=True):
            if column >= 0:
                self.columns[labels] = column


class PushGroups:
    """Shows groups at every interval.

    Owns: the groups.
    Receives: nothing; requests call `push`, `fail` and `delete`.
    Sends: Row to storage, one a group.
    Crashes when: it has a bug. What storage refuses is told.
    On restart: goes on with the groups, which belong to the tree. A server that starts anew has none.
    """

    def __init__(self, config: PushgatewayConfig, writer: Writer, clock: Clock, log: Log) -> None:
        self.groups: dict[Labels, PushGroup] = {}
        self.config = config
        self._writer = writer
        self._clock = clock
        self._log = log
        self._writing = trio.Lock()
        self._stopping = trio.Event()

    def drain(self) -> None:
        """All groups end."""
        self._stopping.set()

    async def run(self) -> None:
        """Shows the groups until it is told to stop; then their series end."""
        self._stopping = trio.Event()
        while not self._stopping.is_set():
            with trio.move_on_after(self.config.interval / 1000):
                await self._stopping.wait()
                break
            now_ms = self._clock.now_ms()
            ttl_ms = self.config.ttl
            old = [group for group in self.groups.values() if ttl_ms and now_ms - group.pushed_ms > ttl_ms]
            for group in old:
                del self.groups[group.labels]
            await self._store(old, ends=True)
            await self._store(list(self.groups.values()))
        groups, self.groups = list(self.groups.values()), {}
        await self._store(groups, ends=True)

    async def push(self, labels: Labels, body: PushedBody, *, replaces: bool) -> None:
        """Takes over a body and stores it: one that is not stored changes nothing.

        Raises UserError for one that can never be taken, PushLimit, OperatingError, ActorGone, AskTimeout.
        """
        known = self.groups.get(labels)
        group = known or PushGroup(labels)
        families = dict(body.families) if replaces else {**group.families, **body.families}
        counted = self._counted(group, families)
        before = group.families, group.pushed_ms, group.counted
        group.families, group.pushed_ms, group.counted = families, self._clock.now_ms(), counted
        self.groups[labels] = group
        metadata = Metadata((*_OWN_METADATA.families, *body.metadata))
        try:
            async with self._writing:
                row = group.row(self._clock.now_ms())
                answer, *_ = await self._writer.append(row, metadata)
                group.granted(row, answer)
        except BaseException:
            if group.families is families:
                group.families, group.pushed_ms, group.counted = before
                if known is None and self.groups.get(labels) is group:
                    del self.groups[labels]
            raise
        if answer.error:
            self._tell(group, answer)

    def _counted(self, group: PushGroup, families: Mapping[str, PushedFamily]) -> int:
        """The series of a group, its own two too. Raises PushLimit, UserError."""
        most = self.config.series_max
        count = shown_series(families) + _OWN_SERIES
        if count > most:
            raise UserError(f"{count} series in a group, the limit of all groups is {most} (series_max)")
        others = sum(each.counted for each in self.groups.values() if each is not group)
        if others + count > most:
            raise PushLimit(
                f"{others} series are pushed and {count} would come, the limit is {most} (series_max)"
            )
        return count

    def fail(self, labels: Labels) -> None:
        """A push to a group was refused."""
        if (group := self.groups.get(labels)) is not None:
            group.failed_ms = self._clock.now_ms()

    async def delete(self, labels: Labels) -> None:
        """Ends a group, whether there is one or not."""
        group = self.groups.pop(labels, None)
        if group is not None:
            await self._store([group], ends=True)

    async def _store(self, groups: Sequence[PushGroup], *, ends: bool = False) -> None:
        for begin in range(0, len(groups), _GROUPS_AT_ONCE):
            async with self._writing:
                some = [
                    group
                    for group in groups[begin : begin + _GROUPS_AT_ONCE]
                    if ends or self.groups.get(group.labels) is group
                ]
                rows = [group.row(self._clock.now_ms(), ends=ends) for group in some]
                if not rows:
                    continue
                try:
                    answers = await self._writer.append(*rows)
                except (OperatingError, ActorGone, AskTimeout) as error:
                    self._log.error("pushed metrics are not stored", err=str(error), groups=len(rows))
                    continue
                for group, row, answer in zip(some, rows, answers, strict=True):
                    group.granted(row, answer)
                    if answer.error:
                        self._tell(group, answer)

    def _tell(self, group: PushGroup, answer: Appended) -> None:
        self._log.warning("pushed samples are not stored", group=group.name, err=answer.error)

    def inspect(self) -> Mapping[str, object]:
        """How many groups and series there are."""
        return {"groups": len(self.groups), "series": sum(group.series for group in self.groups.values())}
