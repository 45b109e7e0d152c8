"""Who a request's work counts against."""

from __future__ import annotations

from typing import Final

from trimon.actors.querying.places import Asker
from trimon.web.http.connections import client_key
from trimon.web.http.request import Request

_THIS_MACHINE: Final = "this machine"


def asker_of(request: Request) -> Asker:
    """One client is an address (of IPv6 a network) and a user; all of this machine are one."""
    user = request.user
    place = client_key(request.client) or _THIS_MACHINE
    return Asker(f"{user}@{place}" if user else place, request.client, user)
