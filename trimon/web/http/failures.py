"""From an exception to an answer: an error envelope, and a crash report when it is a bug."""

from __future__ import annotations

from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.storage.actor import NotReady
from trimon.errors import OperatingError, UserError
from trimon.offload import ThreadsShort
from trimon.query.language.errors import MemoryFull, QueryError
from trimon.web.context import WebContext
from trimon.web.http.answer import STARTING, Answer, ApiError, failure


def as_api_error(error: Exception) -> ApiError | None:
    """The envelope of an expected error; None for a bug."""
    match error:
        case ApiError():
            return error
        case MemoryFull():
            return ApiError("unavailable", str(error), status=503, retry_after_s=error.retry_after_s)
        case QueryError():
            return ApiError(error.kind.value, str(error))
        case UserError():
            return ApiError("bad_data", str(error))
        case MailboxFull():
            return ApiError("unavailable", str(error), status=503, retry_after_s=error.retry_after_s)
        case MemoryError():
            text = "this process has no memory for the request now; see /debug/memory"
            return ApiError("unavailable", text, status=503, retry_after_s=MemoryFull.retry_after_s)
        case NotReady():
            return ApiError("unavailable", str(error), status=503, retry_after_s=1)
        case ActorGone() | AskTimeout() | ThreadsShort():
            return ApiError("unavailable", str(error), status=503, retry_after_s=1)
        case OperatingError():
            return ApiError("internal", str(error))
        case _:
            return None


def answer_of_error(context: WebContext, error: Exception, method: str, path: str) -> Answer:
    """The answer to a request that failed; a bug leaves a crash report."""
    known = as_api_error(error)
    if known is None:
        context.tree().reports.add(f"web{path}", 1, error, 0.0, method)
        known = ApiError("internal", f"internal error: {type(error).__name__}; see /debug/crashes")
    answer = failure(known)
    if isinstance(error, NotReady):
        answer.headers |= STARTING
    return answer
