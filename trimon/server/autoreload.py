"""Reload when a file of the configuration changes."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from trimon import limits
from trimon.config.configuration import Config
from trimon.config.globs import PatternError, expand_globs
from trimon.offload import Offload
from trimon.openfiles import os_errors, read_regular


class AutoReload:
    """Looks at the configuration file, rule files and scrape config files every so often.

    Owns: a digest of their names and contents.
    Receives: nothing.
    Sends: nothing; it calls the reload, which tells its own failures.
    Crashes when: never by a file; one that cannot be read counts as empty.
    On restart: what is on the disk then counts as known.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        reload: Callable[[], Awaitable[None]],
        offload: Offload,
        interval_s: float,
    ) -> None:
        self._config = config
        self._reload = reload
        self._offload = offload
        self._interval_s = interval_s

    async def run(self) -> None:
        """Looks until it is cancelled."""
        known = await self._digest()
        while True:
            await trio.sleep(self._interval_s)
            found = await self._digest()
            if found != known:
                known = found
                await self._reload()

    def inspect(self) -> dict[str, object]:
        """How often it looks."""
        return {"interval_s": self._interval_s}

    async def _digest(self) -> str:
        config = self._config()
        return await self._offload.run(lambda: files_digest(config))


def files_digest(config: Config) -> str:
    """A digest of the names and contents of a configuration's files as they are now. Blocks on the disk."""
    digest = hashlib.sha256()
    try:
        named = expand_globs((*config.main.rule_files, *config.main.scrape_config_files))
    except PatternError:
        named = ()
    for path in (config.path, *named):
        content = _content(path)
        digest.update(f"{path}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    try:
        with os_errors(path):
            return read_regular(path, limits.CONFIG_FILE_BYTES_MAX)
    except OSError:
        return b""
