"""Rule groups over a small world, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trio

from tests.support.store_world import World, world
from trimon.actors.kernel.group import Group
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.querying.gate import Queries
from trimon.actors.rules.group import RuleGroupActor
from trimon.actors.rules.history import AlertHistory, history_mailbox
from trimon.actors.rules.manager import RuleManager
from trimon.actors.rules.seams import AlertingSeams, CatchUps, RuleSeams
from trimon.files import DiskFiles
from trimon.model.labels import labels_of
from trimon.model.rows import SampleBatch
from trimon.offload import InlineOffload
from trimon.query.language.options import QueryOptions
from trimon.rules.alert import Alert
from trimon.rules.file import read_rules
from trimon.rules.history import HistoryFiles
from trimon.rules.spec import RuleDefaults

FILE = Path("/etc/rules/r.yml")


@dataclass
class RuleWorld:
    """What tests look at."""

    world: World
    manager: RuleManager
    pool: Pool[str]
    history: AlertHistory

    def configure(self, text: str) -> None:
        """Takes over the text of the rule file."""
        self.manager.configure(read_rules(text, FILE, RuleDefaults(10_000)), FILE.parent)

    async def push(self, name: str, value: float, **labels: str) -> None:
        """Stores a sample of now."""
        series = labels_of({"__name__": name, **labels})
        batch = SampleBatch(
            (series,),
            np.zeros(1, np.int32),
            np.array([self.world.clock.now_ms()], np.int64),
            np.array([value]),
        )
        (answer,) = await self.world.writer.append(batch)
        assert not answer.error

    def points(self, name: str) -> dict[tuple[tuple[str, str], ...], list[tuple[int, float | None]]]:
        """Samples of a metric by its other labels; None is a staleness marker."""
        return {
            labels_of({key: value for key, value in labels.items() if key != "__name__"}): points
            for labels, points in self.world.samples(name)
        }

    def actor(self, key: str) -> RuleGroupActor:
        """The actor of a group, by its file and name."""
        child = self.pool.child(key)
        assert child is not None
        assert isinstance(child.actor, RuleGroupActor)
        return child.actor


@asynccontextmanager
async def rule_world(
    directory: Path,
    *,
    notify: Callable[[Sequence[Alert], str], object] = lambda _alerts, _expression: None,
    start_ms: int = 1_700_000_000_000,
    rules_at_once: int = 0,
    catch_up_ms: int = 0,
) -> AsyncIterator[RuleWorld]:
    """A running world with rules; it is stopped in order at the end."""
    async with world(directory, start_ms=start_ms) as here:
        queries = Queries(here.storage.snapshot, InlineOffload(), here.clock, concurrency_max=4)
        mailbox = history_mailbox()
        files = HistoryFiles(DiskFiles(), directory, 1 << 20)
        history = AlertHistory(files, mailbox, InlineOffload(), here.log)
        seams = RuleSeams(
            queries,
            here.writer,
            here.clock,
            here.log,
            here.storage.replayed,
            QueryOptions,
            alerting=AlertingSeams(notify=notify, changed=history.tell),
            at_once=trio.CapacityLimiter(rules_at_once) if rules_at_once else None,
            catch_ups=CatchUps(catch_up_ms),
        )
        pool: Pool[str] = Pool("rules", reports=here.reports)
        manager = RuleManager(pool, seams)
        specs = [
            ChildSpec("alert-history", lambda: history, mailbox, Restart.ALWAYS),
            ChildSpec("rule-manager", lambda: manager, restart=Restart.ALWAYS),
            ChildSpec("rules", lambda: pool, restart=Restart.ALWAYS, drain_s=12.0),
        ]
        root = Group("ruled", specs, reports=here.reports)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(root.run)
            await root.ready.wait()
            yield RuleWorld(here, manager, pool, history)
            manager.stopping = True
            await root.stop(within_s=60)
        assert here.reports.total == 0
