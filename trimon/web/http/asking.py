"""Who a request's work counts against."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from trimon.actors.querying.places import Asker
from trimon.web.http.request import Request
from trimon.web.http.wire.connections import client_key

_THIS_MACHINE: Final = "this machine"
# What our pages say of questions that nobody has typed. Whoever else says so hides them from the first look alone.
BY_PAGE_HEADER: Final = "x-trimon-page"


@lru_cache(maxsize=4096)
def _place(address: str) -> str:
    """What counts as one client; taking an address apart takes as long as a small query's whole way through the gate."""
    return client_key(address) or _THIS_MACHINE


def asker_of(request: Request) -> Asker:
    """One client is an address (of IPv6 a network) and a user; all of this machine are one."""
    user = request.user
    place = _place(request.client)
    key = f"{user}@{place}" if user else place
    return Asker(key, request.client, user, bool(request.header(BY_PAGE_HEADER)))
