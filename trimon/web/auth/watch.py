"""The web config file and those that it names are read again when one of them changes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio

from trimon.errors import UserError
from trimon.log import Log
from trimon.offload import Offload
from trimon.redaction import redacted
from trimon.web.auth.security import CurrentSecurity, Security, load_security, stamp_of
from trimon.web.auth.tls import Caution

LOOK_EVERY_S: Final = 1.0


class WebConfigWatch:
    """Looks at the files every so often, and takes over what they say once they have come to rest.

    A file that is being written may be valid already, and say less than it will: no users yet, or users without their roles.
    So it counts when two looks have found the same; and a server that asks who somebody is never ceases to without a start.

    Owns: what the current security is.
    Receives: nothing.
    Sends: nothing; who wants to know looks at the current security.
    Crashes when: never by a file: one that is wrong is told, and what held before goes on.
    On restart: it goes on looking.
    """

    def __init__(self, security: CurrentSecurity, offload: Offload, log: Log) -> None:
        self._security = security
        self._offload = offload
        self._log = log

    async def run(self) -> None:
        """Looks until it is cancelled."""
        path = self._security.path
        if path is None:
            await trio.sleep_forever()
        before = self._security.stamp
        while True:
            # The stamp is taken first: what changes while the files are read is seen the next time.
            found = await self._offload.run(
                partial(stamp_of, path, strict=self._security.strict, before=before)
            )
            if found == before != self._security.stamp:
                self._security.stamp = found
                await self._reload(path)
            before = found
            await trio.sleep(LOOK_EVERY_S)

    async def _reload(self, path: Path) -> None:
        strict = self._security.strict
        try:
            found = await self._offload.run(lambda: load_security(path, strict=strict))
            if (found.tls is None) is not (self._security.now.tls is None):
                raise UserError("TLS can be switched on and off at a start only")
            if found.accounts is None and self._security.now.accounts is not None:
                raise UserError(
                    "there are neither users nor tokens: that nobody is asked begins at a start only"
                )
        except UserError as error:
            self._security.reload_ok = False
            what = "web config file cannot be taken, the one before goes on"
            fields = {"at": str(error.position)} if error.position.line else {}
            self._log.error(what, file=str(path), err=redacted(error.message), **fields)
            return
        self._take(found)
        self._log.info("web config file taken", file=str(path))

    def _take(self, found: Security) -> None:
        before = self._security.now.accounts
        if before is not None and found.accounts is not None:
            for name, roles in found.accounts.gained(before).items():
                self._log.warning("may do more than before", name=name, roles=",".join(sorted(roles)))
        self._security.now = found
        self._security.reload_ok = True
        warn(self._log, found.cautions)

    def inspect(self) -> dict[str, object]:
        """The file, and whether it could be taken."""
        path = self._security.path
        return {"file": str(path) if path is not None else "", "ok": self._security.reload_ok}


def warn(log: Log, cautions: Sequence[Caution]) -> None:
    """Tell what holds otherwise than a reader of the file may think."""
    for caution in cautions:
        log.warning("web config file", note=caution.message, at=str(caution.place))
