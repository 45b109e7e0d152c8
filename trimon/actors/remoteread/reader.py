"""The set of endpoints of remote read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import trio

from trimon.actors.remoteread.endpoint import ReadEndpoint
from trimon.actors.remoteread.reading import RemoteReading
from trimon.clock import Clock
from trimon.config.dump import fingerprint, section_yaml
from trimon.config.remote import RemoteReadConfig
from trimon.errors import UserError
from trimon.fetch.request import Fetch
from trimon.model.labels import Labels
from trimon.offload import Offload
from trimon.redaction import shown_url

# Servers that ask one another for one query: more are a circle.
HOPS_MAX: Final = 3
LOCAL_ONLY: Final = HOPS_MAX
"""As many as for what is asked of local storage alone."""


class RemoteReader:
    """Knows whom queries ask besides local storage.

    Owns: the endpoints, their connections.
    Receives: nothing; queries ask on their own tasks.
    Sends: nothing.
    Crashes when: it has a bug.
    On restart: the endpoints stay.
    """

    def __init__(
        self,
        local_start_ms: Callable[[], int],
        connect: Callable[[RemoteReadConfig], Fetch],
        clock: Clock,
    ) -> None:
        self.endpoints: dict[str, ReadEndpoint] = {}
        self._local_start_ms = local_start_ms
        self._connect = connect
        self._clock = clock
        self._external: Labels = ()
        self._retired: list[ReadEndpoint] = []
        self._changed = trio.Event()

    def configure(self, configs: Sequence[RemoteReadConfig], external: Labels) -> None:
        """The endpoints of a new configuration; one that did not change goes on. Raises UserError for equal ones."""
        found: dict[str, ReadEndpoint] = {}
        known = self.endpoints if external == self._external else {}
        for config in configs:
            digest = fingerprint("remote_read", (config,))
            if digest in found:
                url = shown_url(config.url.reveal()) if config.url else ""
                raise UserError(
                    f"duplicate remote read configs are not allowed, found duplicate for URL: {url}"
                )
            found[digest] = known.get(digest) or self._endpoint(config, external)
        kept = set(map(id, found.values()))
        self._retired += [each for each in self.endpoints.values() if id(each) not in kept]
        self.endpoints, self._external = found, external
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def _endpoint(self, config: RemoteReadConfig, external: Labels) -> ReadEndpoint:
        digest = hashlib.md5(section_yaml(config).encode(), usedforsecurity=False).hexdigest()
        name = config.name or digest[:6]
        return ReadEndpoint(config, name, external, self._connect, self._clock.now_ms)

    def begin(self, offload: Offload, hops: int) -> RemoteReading | None:
        """What one query reads of others; None when nobody is to be asked."""
        if not self.endpoints or hops >= HOPS_MAX:
            return None
        endpoints = tuple(self.endpoints.values())
        return RemoteReading(endpoints, self._local_start_ms(), self._clock.now_ms(), offload, hops)

    async def run(self) -> None:
        """Closes the connections of endpoints that are gone, and of all at the end."""
        try:
            while True:
                changed = self._changed
                while self._retired:
                    await self._retired.pop().aclose()
                await changed.wait()
        finally:
            with trio.CancelScope(shield=True):
                for endpoint in (*self._retired, *self.endpoints.values()):
                    await endpoint.aclose()

    def states(self) -> list[Mapping[str, object]]:
        """How each endpoint does."""
        return [endpoint.inspect() for endpoint in self.endpoints.values()]

    def inspect(self) -> Mapping[str, object]:
        """The endpoints."""
        return {"endpoints": self.states()}
