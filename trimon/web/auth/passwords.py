"""Passwords against their hashes: in a thread, once for each that is right, and not often for those that are wrong."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Final, TypeVar

import bcrypt
import trio

from trimon.offload import Offload
from trimon.web.http.ratelimit import RateLimit

# Passwords that were right.
REMEMBERED_MAX: Final = 1024
# Comparisons that wait for a thread; a comparison takes 50 ms and more.
WAITING_MAX: Final = 64
# Of each client for one user: wrong ones at once, and in the long run.
FAILURES_BURST: Final = 10
FAILURES_PER_S: Final = 0.5
# The same for all users together: behind a proxy many are one client.
FAILURES_OF_CLIENT: Final = 10
CLIENTS_MAX: Final = 4096
NAME_BYTES: Final = 128
# What bcrypt looks at of a password; the library refuses longer ones, Go's cuts them.
PASSWORD_BYTES: Final = 72


Key = TypeVar("Key")


class TooManyWaiting(Exception):
    """No further comparison can be taken on now."""


class Passwords:
    """Compares passwords. Only on the loop's thread.

    A password that was right is remembered as a digest under a key that this process alone has, together with its hash: so a
    changed hash is compared anew. One that was wrong is not remembered: many would push out those that are right.
    """

    def __init__(self, offload: Offload) -> None:
        self._offload = offload
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._compared: dict[bytes, _Comparison] = {}

    def remembers(self, hashed: bytes, password: bytes) -> bool:
        """Whether this password was right for this hash before."""
        digest = self._digest(hashed, password[:PASSWORD_BYTES])
        if digest not in self._right:
            return False
        self._right.move_to_end(digest)
        return True

    async def is_right(self, hashed: bytes, password: bytes) -> bool:
        """Whether a password belongs to a hash. Who asks the same meanwhile shares the answer. Raises TooManyWaiting."""
        password = password[:PASSWORD_BYTES]
        digest = self._digest(hashed, password)
        running = self._compared.get(digest)
        if running is not None:
            await running.done.wait()
            if running.right is not None:
                return running.right
        if len(self._compared) >= WAITING_MAX:
            raise TooManyWaiting
        running = self._compared[digest] = _Comparison()
        try:
            running.right = await self._offload.run(lambda: _matches(hashed, password))
        finally:
            if self._compared.get(digest) is running:
                del self._compared[digest]
            running.done.set()
        if running.right:
            self._right[digest] = None
            while len(self._right) > REMEMBERED_MAX:
                self._right.popitem(last=False)
        return running.right

    def _digest(self, hashed: bytes, password: bytes) -> bytes:
        return hmac.digest(self._key, hashed + b"\0" + password, hashlib.sha256)


class _Comparison:
    __slots__ = ("done", "right")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.right: bool | None = None
        """None when it was cancelled."""


def _matches(hashed: bytes, password: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # a hash that looks like one, and is none
        return False


class Attempt:
    """One attempt, taken from the limit of its client for a user, then from that of its client for all."""

    def __init__(self, of_user: RateLimit, of_client: RateLimit) -> None:
        self._limits = (of_user, of_client)

    def take(self) -> float:
        """0.0 when it may be made, else the seconds after which one may. Who is refused for one user costs others nothing."""
        of_user, of_client = self._limits
        if wait_s := of_user.take():
            return wait_s
        if wait_s := of_client.take():
            of_user.give_back()
        return wait_s

    def give_back(self) -> None:
        """It was right, or was not made."""
        for limit in self._limits:
            limit.give_back()


class Failures:
    """How often each client was wrong lately, for each user and for all. Only on the loop's thread."""

    def __init__(self) -> None:
        self._of_users: OrderedDict[tuple[str, bytes], RateLimit] = OrderedDict()
        self._of_clients: OrderedDict[str, RateLimit] = OrderedDict()

    def of(self, client: str, user: bytes) -> Attempt:
        """An attempt of a client to be a user; of one with a token the name is empty."""
        name = user[:NAME_BYTES]
        return Attempt(
            _kept(self._of_users, (client, name), 1), _kept(self._of_clients, client, FAILURES_OF_CLIENT)
        )


def _kept(limits: OrderedDict[Key, RateLimit], key: Key, times: int) -> RateLimit:
    limit = limits.get(key)
    if limit is None:
        limit = limits[key] = RateLimit(times * FAILURES_PER_S, times * FAILURES_BURST)
        while len(limits) > CLIENTS_MAX:
            limits.popitem(last=False)
    limits.move_to_end(key)
    return limit
