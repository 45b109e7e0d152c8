"""The sender of alerts to one Alertmanager, at its own pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import trio

from trimon.actors.kernel.mailbox import Mailbox, MailboxClosed
from trimon.fetch.request import Fetch, FetchError, FetchRequest
from trimon.log import Log
from trimon.notify.message import AlertMessage, encode
from trimon.records import dataclass
from trimon.redaction import redacted, shown_url
from trimon.tracing.span import SpanKind
from trimon.tracing.tracer import TRACER

ANSWER_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class NotifierSettings:
    """What flags say of the notifier."""

    queue_alerts_max: int = 10_000
    batch_alerts_max: int = 256
    drains: bool = True
    """Whether a stop sends what waits."""


@dataclass(slots=True)
class SenderCounts:
    """What became of the alerts for one Alertmanager; it outlives the sender, and ends when no set has the URL any more."""

    sent: int = 0
    errors: int = 0
    dropped: int = 0
    requests: int = 0
    seconds: float = 0.0


class AlertSender:
    """Sends alerts to one Alertmanager, all that wait in as few requests as may be.

    Owns: the connection.
    Receives: AlertMessage; of too many the oldest are dropped and counted.
    Sends: POST to the Alertmanager. What it does not take is lost: rules send again as long as an alert fires.
    Crashes when: it has a bug.
    On restart: goes on with what waits.
    """

    def __init__(
        self,
        url: str,
        mailbox: Mailbox[AlertMessage],
        fetch: Fetch,
        timeout_s: float,
        settings: NotifierSettings,
        counts: SenderCounts,
        log: Log,
    ) -> None:
        self.url = url
        self._mailbox = mailbox
        self._fetch = fetch
        self._timeout_s = timeout_s
        self._settings = settings
        self._counts = counts
        self._log = log
        self._last_error = ""
        self._sending = trio.CancelScope()

    async def run(self) -> None:
        """Sends until the mailbox is closed and empty."""
        try:
            while True:
                batch = await self._mailbox.receive_batch(self._settings.batch_alerts_max)
                with trio.CancelScope() as self._sending:
                    await self._send(batch)
                self._mailbox.done()
        except MailboxClosed:
            return
        finally:
            await self._fetch.aclose()

    def drain(self) -> None:
        """A stop without draining drops what waits and waits for no answer."""
        if self._settings.drains:
            return
        self._sending.cancel()
        waiting = len(self._mailbox)
        if waiting:
            self._log.warning(
                "Alert notification queue not drained on shutdown, dropping alerts",
                alertmanager=shown_url(self.url),
                count=waiting,
            )
            self._mailbox.clear()

    async def _send(self, batch: Sequence[AlertMessage]) -> None:
        counts = self._counts
        with TRACER.span("Send Alerts", {"alerts": len(batch)}, SpanKind.CLIENT) as span:
            error = await self._posted(batch)
            if span is not None:
                span.error = error
        if not error:
            counts.sent += len(batch)
            return
        counts.errors += len(batch)
        counts.dropped += len(batch)
        self._log.error("Error sending alerts", alertmanager=shown_url(self.url), count=len(batch), err=error)

    async def _posted(self, batch: Sequence[AlertMessage]) -> str:
        """Sends once; what went wrong, empty when nothing did."""
        counts = self._counts
        request = FetchRequest(
            self.url,
            headers=(("Content-Type", "application/json"), *TRACER.headers()),
            timeout_s=self._timeout_s,
            body_bytes_max=ANSWER_BYTES_MAX,
            method="POST",
            status_counts=True,
            body=encode(batch),
        )
        began_s = trio.current_time()
        error = ""
        try:
            answer = await self._fetch.send(request)
            if answer.status // 100 != 2:
                error = f"bad response status {answer.status_line}"
        except FetchError as failure:
            error = f'Post "{shown_url(self.url)}": {failure}'
        counts.requests += 1
        counts.seconds += trio.current_time() - began_s
        self._last_error = redacted(error)
        return self._last_error

    def inspect(self) -> Mapping[str, object]:
        """What was sent, and what the last request came to."""
        counts = self._counts
        return {
            "url": shown_url(self.url),
            "sent": counts.sent,
            "errors": counts.errors,
            "dropped": counts.dropped,
            "last_error": self._last_error,
        }
