"""How others have the storage actor store: they send what is to be stored and get columns back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import trio

from trimon.actors.kernel.ask import ask
from trimon.actors.kernel.mailbox import Mailbox, MailboxFull
from trimon.actors.storage.messages import Append, Message, Perform, StorageMessage
from trimon.model.components import is_component
from trimon.model.labels import Labels
from trimon.model.rows import NO_COLUMNS, NO_VALUES, Appended, Row, merged

PERFORM_TIMEOUT_S: Final = 600.0
# New series of one row that are stored at once, some 20 µs each: what is more waits behind the rows of others.
NEW_SERIES_AT_ONCE: Final = 4000


class Writer:
    """The door to the storage actor for those who send to it."""

    def __init__(self, mailbox: Mailbox[StorageMessage]) -> None:
        self.mailbox = mailbox

    async def append(self, *messages: Message) -> tuple[Appended, ...]:
        """Stores the messages; one answer each. Raises OperatingError, ActorGone.

        Waits as long as storage takes: a scrape has nothing better to do, and a jam is to be seen, not hidden. A row of
        many new series is stored in several turns, its known series with the first; readers may see a part of it.
        """
        if any(
            isinstance(message, Row) and len(message.new_series) > NEW_SERIES_AT_ONCE for message in messages
        ):
            return tuple([await self._in_slices(message) for message in messages])
        return await self._in_one_turn(*messages)

    async def append_shielded(self, *messages: Message) -> tuple[Appended, ...]:
        """As `append`, and seen through whoever cancels."""
        if len(messages) == 1 and not (isinstance(messages[0], Row) and messages[0].new_series):
            append = Append(messages)
            try:
                self.mailbox.send_nowait(append)
            except MailboxFull:
                pass  # it waits for room below
            else:
                return await append.reply.wait_shielded()
        with trio.CancelScope(shield=True):
            answers = await self.append(*messages)
        return answers  # noqa: RET504 # for all the type checker knows the scope swallows what is raised

    async def _in_one_turn(self, *messages: Message) -> tuple[Appended, ...]:
        message = Append(messages)
        await self.mailbox.send(message)
        return await message.reply.wait()

    async def _in_slices(self, message: Message) -> Appended:
        if not isinstance(message, Row):
            return (await self._in_one_turn(message))[0]
        every = tuple(message.new_series)
        order, cuts = _slices(every, NEW_SERIES_AT_ONCE)
        answers: list[Appended] = []
        for begin, end in pairwise(cuts):
            mine = order[begin:end]
            series = tuple(every[place] for place in mine)
            values = message.new_values[mine]
            if begin == 0:
                part = replace(message, new_series=series, new_values=values)
            else:
                part = Row(message.group, message.timestamp_ms, NO_COLUMNS, NO_VALUES, series, values)
            # A histogram that has more series than a turn takes is a turn of its own.
            answers += await self._in_one_turn(part)
        answer = merged(answers)
        columns = np.empty(len(order), np.int32)
        columns[order] = answer.columns
        return replace(answer, columns=columns)

    async def perform(self, what: str, work: Callable[[], object]) -> object:
        """Runs `work` in the writer's turn; its error passes through."""
        return await ask(self.mailbox, Perform(what, work), PERFORM_TIMEOUT_S)


def _slices(series: Sequence[Labels], size: int) -> tuple[list[int], list[int]]:
    """The places of new series in the order in which they are stored, and where to cut between turns.

    Of a histogram everything is stored in one turn: components go with their series, and those of known series first, as
    known series are in the first turn.
    """
    if not any(map(is_component, series)):
        return list(range(len(series))), [*range(0, len(series), size), len(series)]
    new = {labels for labels in series if not is_component(labels)}
    known: list[int] = []
    groups: dict[Labels, list[int]] = {}
    for place, labels in enumerate(series):
        owner = labels[1:] if is_component(labels) else labels
        if owner in new:
            groups.setdefault(owner, []).append(place)
        else:
            known.append(place)
    order, cuts = known, [0]
    for group in groups.values():
        if len(order) + len(group) - cuts[-1] > size and len(order) > cuts[-1]:
            cuts.append(len(order))
        order += group
    return order, [*cuts, len(order)]
