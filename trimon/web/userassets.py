"""/user: the files of a directory that whoever runs the server wants to be served beside its pages."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from email.utils import formatdate, parsedate_to_datetime
from functools import partial
from typing import Final
from urllib.parse import quote

from trimon.openfiles import DiskReadFile
from trimon.records import dataclass
from trimon.web.auth.headers import OWNED_PAGE
from trimon.web.context import WebContext
from trimon.web.directory import NotServed, ServedDirectory, media_type
from trimon.web.http.answer import PART_BYTES, Answer, error_text
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.request import Request

_INDEX: Final = "index.html"
_RANGE: Final = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that is open, or where a client should look instead."""

    name: str
    file: DiskReadFile | None = None
    modified_s: int = 0
    moved: str = ""


def _find(directory: ServedDirectory, name: str) -> _Found:
    """The file of a name, the index of a folder. Raises OSError. Blocks on the disk."""
    path = directory.find(name)
    last = name.rstrip("/").rpartition("/")[2]
    if path.is_dir():
        if name and not name.endswith("/"):
            return _Found(name, moved=f"{quote(last, safe='')}/")
        name = f"{name}{_INDEX}"
        path = directory.find(name)
    elif name.endswith("/"):
        return _Found(name, moved=f"../{quote(last, safe='')}")
    elif last == _INDEX:
        return _Found(name, moved="./")
    return _Found(name, DiskReadFile(path), int(path.stat().st_mtime))


def _time_s(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _condition(request: Request, modified_s: int) -> int:
    """304 or 412 where a file is not sent for when it was changed; else 0. There are no tags that could match."""
    if match := request.header("if-match"):
        if match.strip() != "*":
            return 412
    elif (least_s := _time_s(request.header("if-unmodified-since"))) is not None and modified_s > least_s:
        return 412
    if match := request.header("if-none-match"):
        return 304 if match.strip() == "*" else 0
    since_s = _time_s(request.header("if-modified-since"))
    return 304 if since_s is not None and modified_s <= since_s else 0


def _range(request: Request, size_bytes: int, modified_s: int) -> tuple[int, int] | None:
    """The bytes that are asked for, `(0, 0)` when there are none such; None for all, also where several ranges are."""
    text = request.header("range")
    only_if = request.header("if-range")
    if not text or "," in text or (only_if and _time_s(only_if) != modified_s):
        return None
    found = _RANGE.fullmatch(text)
    if found is None or not (found[1] or found[2]):
        return 0, 0
    if not size_bytes:
        return None
    if not found[1]:
        return max(0, size_bytes - int(found[2])), size_bytes
    start, stop = int(found[1]), min(int(found[2]) + 1 if found[2] else size_bytes, size_bytes)
    return (start, stop) if start < stop else (0, 0)


class UserAssets:
    """Serves files, long ones piece by piece."""

    def __init__(self, context: WebContext, directory: ServedDirectory) -> None:
        self._context = context
        self._directory = directory

    async def asset(self, request: Request) -> Answer:
        """A file of the directory."""
        name = request.path_values.get("file", "")
        try:
            found = await self._context.offload.run(lambda: _find(self._directory, name))
        except OSError:  # NotServed, or what is no file
            return error_text("404 page not found", 404)
        if found.file is None:
            query = f"?{request.raw_query}" if request.raw_query else ""
            return Answer(b"", 301, "", {"Location": found.moved + query})
        return await self._sent(request, found, found.file)

    async def _sent(self, request: Request, found: _Found, file: DiskReadFile) -> Answer:
        headers = {**OWNED_PAGE, "Last-Modified": formatdate(found.modified_s, usegmt=True)}
        if status := _condition(request, found.modified_s):
            return Answer(b"", status, "", headers)
        size = file.size_bytes
        asked = _range(request, size, found.modified_s)
        start, stop = (0, size) if asked is None else asked
        if asked is not None:
            if start == stop:
                answer = error_text("invalid range", 416)
                answer.headers["Content-Range"] = f"bytes */{size}"
                return answer
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        headers["Accept-Ranges"] = "bytes"
        answer = Answer(b"", 200 if asked is None else 206, media_type(found.name), headers)
        if request.method == "GET" and stop - start <= PART_BYTES:
            answer.body = await self._context.offload.run(lambda: file.read(start, stop - start))
            return self._context.held(answer)
        headers["Content-Length"] = str(stop - start)
        answer.pieces = self._pieces(file, start, stop if request.method == "GET" else start)
        return answer

    async def _pieces(self, file: DiskReadFile, start: int, stop: int) -> AsyncGenerator[bytes]:
        while start < stop:
            size = min(PART_BYTES, stop - start)
            piece = await self._context.offload.run(partial(file.read, start, size))
            if len(piece) < size:
                raise NotServed(0, "the file became shorter while it was sent", "")
            yield piece
            start += size


def user_asset_endpoints(context: WebContext) -> list[Endpoint]:
    """/user, where there is such a directory."""
    if context.options.user_assets is None:
        return []
    assets = UserAssets(context, ServedDirectory(context.options.user_assets))
    methods = ("GET", "HEAD")
    return [
        Endpoint("/user/", methods, assets.asset, summary="The index of --web.user-assets."),
        Endpoint("/user/<path:file>", methods, assets.asset, summary="A file of --web.user-assets."),
    ]
