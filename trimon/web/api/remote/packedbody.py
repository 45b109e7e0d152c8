"""The body of a request that may be packed with gzip, which is bounded before and while it is unpacked."""

from __future__ import annotations

from trimon.errors import UserError
from trimon.fetch.inflater import inflated
from trimon.fetch.request import BodyTooBig
from trimon.web.context import WebContext
from trimon.web.http.request import Request


async def unpacked_body(context: WebContext, request: Request, bytes_max: int) -> bytes:
    """The body as it was before it was packed, at most so many bytes of either.

    Raises UserError for another encoding, BodyTooLong, BodyTooBig, and BodyError for what is no gzip.
    """
    encoding = request.header("content-encoding")
    if encoding not in ("", "identity", "gzip"):
        raise UserError(f"unknown encoding {encoding[:40]!r}: gzip or none is wanted")
    body = await request.body()
    if len(body) > bytes_max:
        raise BodyTooBig(bytes_max)
    if encoding != "gzip":
        return body
    with context.bodies.counted(min(bytes_max, 10 * len(body))):
        return await context.offload.run(lambda: b"".join(inflated(body, bytes_max)))
