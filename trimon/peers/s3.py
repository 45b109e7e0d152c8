"""The few requests of S3 that copying files takes: is an object there, put one, in parts where it is large.

Objects are named by path (`endpoint/bucket/key`), which S3-compatible stores take as well.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final
from xml.sax.saxutils import escape

from trimon.fetch.request import Fetch, FetchError, FetchRequest, Response
from trimon.redaction import shown_url

PART_BYTES: Final = 32 * 2**20
_ANSWER_BYTES_MAX: Final = 2**20
_UPLOAD: Final = re.compile(rb"<UploadId>([^<]+)</UploadId>")
_CODE: Final = re.compile(rb"<Code>([^<]{1,100})</Code>")
_OK: Final = 200
_MISSING: Final = 404

Read = Callable[[int, int], Awaitable[bytes]]
"""So many bytes of a file from a place on."""


class BucketError(FetchError):
    """The store refused a request."""


class Bucket:
    """One bucket, or what is below a prefix of it. The client signs requests."""

    def __init__(self, fetch: Fetch, base: str, timeout_s: float) -> None:
        self._fetch = fetch
        self._base = base
        self._shown = shown_url(base)
        self._timeout_s = timeout_s

    async def has(self, key: str) -> bool:
        """Whether there is such an object. Raises FetchError."""
        answer = await self._send("HEAD", key)
        if answer.status == _MISSING:
            return False
        self._check(answer, "HEAD", key)
        return True

    async def put(self, key: str, read: Read, size_bytes: int) -> None:
        """Make an object of so many bytes; in parts beyond PART_BYTES. Raises FetchError, and what `read` raises."""
        if size_bytes <= PART_BYTES:
            self._check(await self._send("PUT", key, await read(0, size_bytes)), "PUT", key)
            return
        began = await self._send("POST", key, query="uploads=")
        self._check(began, "POST", f"{key}?uploads")
        found = _UPLOAD.search(began.body)
        if found is None:
            raise BucketError(f"POST {self._shown}/{key}?uploads: no UploadId in the answer")
        upload = f"uploadId={found[1].decode()}"
        try:
            await self._put_parts(key, upload, read, size_bytes)
        except FetchError:
            await self._send("DELETE", key, query=upload)
            raise

    async def _put_parts(self, key: str, upload: str, read: Read, size_bytes: int) -> None:
        tags: list[str] = []
        for begin in range(0, size_bytes, PART_BYTES):
            number = len(tags) + 1
            part = await read(begin, min(PART_BYTES, size_bytes - begin))
            answer = await self._send("PUT", key, part, f"partNumber={number}&{upload}")
            self._check(answer, "PUT", f"{key}, part {number}")
            tags.append(answer.headers.get("etag", ""))
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
            for number, tag in enumerate(tags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        done = await self._send("POST", key, body, upload)
        self._check(done, "POST", key)
        if _CODE.search(done.body) and b"<Error>" in done.body:  # an error may come behind a 200
            raise BucketError(f"POST {self._shown}/{key}:{_said(done)}")

    async def _send(self, method: str, key: str, body: bytes = b"", query: str = "") -> Response:
        url = f"{self._base}/{key}" + (f"?{query}" if query else "")
        return await self._fetch.send(
            FetchRequest(url, (), self._timeout_s, _ANSWER_BYTES_MAX, method, body, follow_redirects=False)
        )

    def _check(self, answer: Response, method: str, what: str) -> None:
        if answer.status != _OK:
            raise BucketError(f"{method} {self._shown}/{what}: {answer.status_line}{_said(answer)}")


def _said(answer: Response) -> str:
    found = _CODE.search(answer.body)
    return f" ({found[1].decode(errors='replace')})" if found is not None else ""
