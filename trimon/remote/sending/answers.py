"""What a receiver's answer means for a batch: it is there, it is to be sent again, or it is lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from trimon.records import dataclass
from trimon.remote.sending.entries import NONE, Counted

SHOWN_BYTES: Final = 1024
_TOO_MANY: Final = 429
_BAD_REQUEST: Final = 400
_WRITTEN: Final = "x-prometheus-remote-write-{}-written"


class Verdict(Enum):
    """What becomes of a batch."""

    TAKEN = "taken"
    RETRY = "retry"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, why, how long to wait at least, and how much of the batch the receiver did not write."""

    verdict: Verdict
    error: str = ""
    wait_s: float = 0.0
    unwritten: Counted = NONE
    contradicts: bool = False
    """Whether the receiver may have refused it for what it has already."""


TAKEN: Final = Judgement(Verdict.TAKEN)


def judge(
    status: int,
    status_line: str,
    body: bytes,
    headers: Mapping[str, str],
    sent: Counted,
    *,
    is_second: bool,
    retries_429: bool,
    now_ms: int,
) -> Judgement:
    """The meaning of an answer; `headers` have names in lower case, `is_second` is a request of 2.0."""
    if status // 100 == 2:
        return _written(headers, sent) if is_second else TAKEN
    text = body[:SHOWN_BYTES].decode("utf-8", "replace")
    error = f"server returned HTTP status {status_line}: {text}"
    written = _counts(headers) if is_second else NONE
    if status // 100 == 5 or (status == _TOO_MANY and retries_429):
        return Judgement(Verdict.RETRY, error, retry_after_s(headers.get("retry-after", ""), now_ms))
    return Judgement(Verdict.LOST, error, unwritten=_short(sent, written), contradicts=status == _BAD_REQUEST)


def _counts(headers: Mapping[str, str]) -> Counted:
    found = [headers.get(_WRITTEN.format(kind), "") for kind in ("samples", "histograms", "exemplars")]
    return Counted(*(int(text) if text.isdecimal() and len(text) < 19 else 0 for text in found))


def _short(sent: Counted, written: Counted) -> Counted:
    return Counted(*(max(0, one - other) for one, other in zip(sent, written, strict=True)))


def _written(headers: Mapping[str, str], sent: Counted) -> Judgement:
    written = _counts(headers)
    if sent.total and not written.total:
        error = (
            f"sent v2 request with {_shown(sent)}; got 2xx, but PRW 2.0 response header statistics indicate "
            f"{_shown(written)} were accepted; the receiver probably speaks 1.0 alone and does not look at the content type"
        )
        return Judgement(Verdict.LOST, error, unwritten=sent)
    return Judgement(Verdict.TAKEN, unwritten=_short(sent, written))


def _shown(counted: Counted) -> str:
    return f"{counted.samples} samples, {counted.histograms} histograms and {counted.exemplars} exemplars"


def retry_after_s(text: str, now_ms: int) -> float:
    """How long `Retry-After` says to wait, in seconds or until a date; 0 for what says nothing."""
    text = text.strip()
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - now_ms / 1000)
