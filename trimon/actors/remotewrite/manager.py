"""The set of queues: from the section `remote_write` to actors, and what of the log they still need."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import trio

from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.restarts import RestartPolicy
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.remotewrite.queue import QueueSettings, RemoteWriteQueue, SentStore
from trimon.actors.remotewrite.shard import QueueCounts
from trimon.clock import Clock
from trimon.config.dump import fingerprint, section_yaml
from trimon.config.remote import RemoteWriteConfig
from trimon.errors import UserError
from trimon.fetch.request import Fetch
from trimon.files import Files
from trimon.log import Log
from trimon.model.labels import Labels
from trimon.offload import Offload
from trimon.records import dataclass
from trimon.redaction import shown_url

# A receiver that is away at a stop is not waited for: what it lacks is sent after the next start.
DRAIN_S: Final = 15.0
UPKEEP_S: Final = 30.0
POLICY: Final = RestartPolicy(retry_first_s=120.0)


@dataclass(frozen=True, slots=True)
class KeptBounds:
    """How much of the log is kept for receivers beyond what storage itself needs; 0 for any."""

    age_ms: int = 24 * 3_600_000
    size_bytes: int = 10 * 2**30


class RemoteWriter:
    """Keeps a queue for every receiver, and the log that they have not read.

    Owns: the set of queues, the savepoint files of those that are gone, the segments that are kept.
    Receives: nothing.
    Sends: nothing.
    Crashes when: it has a bug.
    On restart: the queues stay, they belong to the tree.
    """

    def __init__(
        self,
        store: SentStore,
        replayed: trio.Event,
        pool: Pool[str],
        connect: Callable[[RemoteWriteConfig], Fetch],
        files: Files,
        clock: Clock,
        offload: Offload,
        log: Log,
        bounds: KeptBounds,
    ) -> None:
        self.queues: dict[str, RemoteWriteQueue] = {}
        self.names: dict[str, QueueSettings] = {}
        self.counts: dict[str, QueueCounts] = {}
        self.lost_runs = 0
        """Runs of the log that were removed before every receiver had them."""
        self._store = store
        self._replayed = replayed
        self._pool = pool
        self._connect = connect
        self._files = files
        self._clock = clock
        self._offload = offload
        self._log = log
        self._bounds = bounds
        self._heard = trio.Event()
        self._folder = store.kept_log.folder / "savepoints"
        # Runs in blocks are kept until it is known who wants them.
        store.kept_log.wanted = bool(files.names(self._folder))

    def appended(self) -> None:
        """Something was stored."""
        heard, self._heard = self._heard, trio.Event()
        heard.set()

    def configure(self, configs: Sequence[RemoteWriteConfig], external: Labels) -> None:
        """The receivers of a new configuration; a queue that did not change goes on. Raises UserError for equal ones."""
        prints = [fingerprint("remote_write", (config,)) for config in configs]
        for number, config in enumerate(configs):
            if prints[number] in prints[:number]:
                url = shown_url(config.url.reveal()) if config.url else ""
                raise UserError(
                    f"duplicate remote write configs are not allowed, found duplicate for URL: {url}"
                )
        settings: dict[str, QueueSettings] = {}
        wanted: dict[str, ChildSpec] = {}
        for config, digest in zip(configs, prints, strict=True):
            key = _key(config, settings)
            rules = section_yaml(config) if config.write_relabel_configs else ""
            told = repr((rules, external, config.send_exemplars, config.send_native_histograms))
            name = (
                config.name
                or hashlib.md5(section_yaml(config).encode(), usedforsecurity=False).hexdigest()[:6]
            )
            settings[key] = QueueSettings(
                config,
                name,
                external,
                hashlib.blake2b(told.encode(), digest_size=8).hexdigest(),
                self._folder / key,
            )
            wanted[key] = ChildSpec(
                key,
                lambda key=key, settings=settings[key]: self._queue(key, settings),  # type: ignore[misc]  # mypy knows no type of a default
                None,
                Restart.ALWAYS,
                drain_s=DRAIN_S,
                policy=POLICY,
                version=(digest, external),
            )
        self.names = settings
        self.queues = {key: queue for key, queue in self.queues.items() if key in settings}
        self.counts = {key: self.counts.get(key) or QueueCounts() for key in settings}
        self._store.kept_log.wanted = bool(settings)
        self._pool.reconcile(wanted)

    def _queue(self, key: str, settings: QueueSettings) -> RemoteWriteQueue:
        queue = self.queues[key] = RemoteWriteQueue(
            settings,
            self._store,
            self._replayed,
            lambda: self._heard,
            self._connect,
            self._files,
            self._clock,
            self._offload,
            self._log,
            self.counts[key],
        )
        return queue

    async def run(self) -> None:
        """Removes what nobody needs any more, now and then."""
        await self._replayed.wait()
        while True:
            wanted = set(self.names)
            needed = self._needed()
            try:
                await self._offload.run(lambda w=wanted, n=needed: self._clean(w, n))  # type: ignore[misc]  # mypy knows no type of a default
            except OSError as error:
                self._log.error("what remote write kept cannot be removed", err=str(error))
            await trio.sleep(UPKEEP_S)

    def _needed(self) -> Callable[[int], bool]:
        queues = list(self.queues.values())
        if len(queues) < len(self.names) or any(queue.needed is None for queue in queues):
            return lambda _: True
        held = [(queue.needed or set(), queue.done_until) for queue in queues]
        return lambda run: any(run in places or run > done for places, done in held)

    def _clean(self, wanted: set[str], needed: Callable[[int], bool]) -> None:
        for name in self._files.names(self._folder):
            if name.removesuffix(".tmp") not in wanted:
                self._files.remove(self._folder / name)
        kept = self._store.kept_log
        runs = {name.epoch for name in kept.segments()}
        gone = [run for run in kept.beyond(self._bounds.age_ms, self._bounds.size_bytes) if needed(run)]
        if gone:
            self.lost_runs += len(gone)
            self._log.error(
                "the log that is kept for remote write is too old or too large: samples are lost for receivers",
                runs=len(gone),
                age_s=self._bounds.age_ms // 1000,
                size_bytes=self._bounds.size_bytes,
            )
        kept.release({run for run in runs if needed(run)}.difference(gone))

    def states(self) -> list[Mapping[str, object]]:
        """The state of each queue."""
        return [queue.inspect() for queue in self.queues.values()]

    def inspect(self) -> Mapping[str, object]:
        """The receivers."""
        return {"queues": [settings.name for settings in self.names.values()], "lost_runs": self.lost_runs}


def _key(config: RemoteWriteConfig, taken: Mapping[str, object]) -> str:
    """What stands for a receiver in the names of files: the same however else its section changes."""
    told = config.name or (config.url.reveal() if config.url else "")
    digest = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
    key, number = digest, 1
    while key in taken:
        number += 1
        key = f"{digest}-{number}"
    return key
