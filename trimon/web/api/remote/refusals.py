"""Requests of pushers that are refused, told in the log: not every sender shows its people what it was answered."""

from __future__ import annotations

import math
from typing import Final

import trio

from trimon.log import Log
from trimon.records import dataclass
from trimon.web.http.request import Request

TELL_EVERY_S: Final = 60.0
# Of what is wrong with a request so many characters are told; a request of many faults has a line for each.
ERROR_CHARACTERS_MAX: Final = 1000


@dataclass(slots=True)
class _Kind:
    """One kind of refusal: how many nothing was said of yet, and when something may be said again."""

    untold: int = 0
    tells_at_s: float = -math.inf


class Refusals:
    """Tells of each kind of refusal at once, and then once a minute at most. On the loop's thread."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._kinds: dict[tuple[str, int], _Kind] = {}

    def tell(
        self,
        event: str,
        error: str,
        count: int = 1,
        *,
        status: int = 0,
        request: Request | None = None,
        **fields: object,
    ) -> None:
        """So many more requests or series; `event`, a fixed sentence, and the status name the kind; `request` is whose."""
        kind = self._kinds.setdefault((event, status), _Kind())
        kind.untold += count
        now_s = trio.current_time()
        if now_s < kind.tells_at_s:
            return
        shown = error if len(error) <= ERROR_CHARACTERS_MAX else f"{error[:ERROR_CHARACTERS_MAX]}..."
        if status:
            fields["status"] = status
        if request is not None:
            fields |= {"client": request.client, "user_agent": request.header("user-agent")[:100]}
        self._log.error(event, err=shown, **fields, count=kind.untold)
        kind.untold, kind.tells_at_s = 0, now_s + TELL_EVERY_S
