"""An application whose modules are large and which few requests need: it is made when the first one does."""

from __future__ import annotations

from collections.abc import Callable

import trio
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from trimon.offload import Offload


class LateApplication:
    """An application that is made in a thread at its first request. Only on the loop's thread."""

    def __init__(self, make: Callable[[], ASGIFramework], offload: Offload) -> None:
        self._make = make
        self._offload = offload
        self._made: ASGIFramework | None = None
        self._making = trio.Lock()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request; those that come while it is made wait for that."""
        if self._made is None:
            async with self._making:
                if self._made is None:
                    self._made = await self._offload.run(self._make)
        await self._made(scope, receive, send)
