"""Groups of pushed metrics beside a storage that takes nothing for a while."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from tests.storage.conftest import series
from trimon.actors.receivers.pushgroups import PushGroups
from trimon.actors.storage.writer import Writer
from trimon.clock import WallClock
from trimon.config.own.receivers import PushgatewayConfig
from trimon.errors import OperatingError
from trimon.log import Log
from trimon.model.rows import Appended
from trimon.scrape.pushed import PushedBody, PushedFamily


class Disk:
    """A writer that is full when it is told so."""

    full = False

    async def append(self, *messages: Any) -> list[Appended]:
        """As a storage answers."""
        if self.full:
            raise OperatingError("no space left on device")
        return [
            Appended(columns=np.arange(len(getattr(each, "new_series", ())), dtype=np.int32))
            for each in messages
        ]


def body(name: str) -> PushedBody:
    return PushedBody({name: PushedFamily((series(name),), np.ones(1))}, ())


async def test_a_push_that_is_not_stored_changes_nothing() -> None:
    """While the disk is full groups stay as they are, and none comes; afterwards the same push is taken."""
    disk = Disk()
    groups = PushGroups(PushgatewayConfig(), cast("Writer", disk), WallClock(), cast("Log", None))
    known, new = series("k", job="known"), series("n", job="new")
    await groups.push(known, body("a"), replaces=True)
    pushed_ms = groups.groups[known].pushed_ms
    disk.full = True
    for labels in (known, new):
        with pytest.raises(OperatingError):
            await groups.push(labels, body("b"), replaces=True)
    assert list(groups.groups) == [known]
    assert list(groups.groups[known].families) == ["a"]
    assert groups.groups[known].pushed_ms == pushed_ms
    disk.full = False
    await groups.push(new, body("b"), replaces=True)
    assert list(groups.groups[new].families) == ["b"]
