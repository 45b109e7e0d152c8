"""What the API server says: events of a watch line by line, lists page by page, and why it refuses.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ (watches, bookmarks, 410 Gone, chunked lists).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

import orjson

from trimon.discovery.asking.record import (
    ExactRecord,
    Record,
    SourceError,
    has_halves,
    parsed,
    without_halves,
)
from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject
from trimon.fetch.request import FetchError
from trimon.records import dataclass

# An object of the API has at most 3 MiB; that is the most which one request may write.
LINE_BYTES_MAX: Final = 8 * 2**20
_INITIAL_END: Final = "k8s.io/initial-events-end"
_MESSAGE_MAX: Final = 300
GONE: Final = 410


class Refused(SourceError):
    """The server said no, by a status of HTTP or in a watch."""

    def __init__(self, status: int, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"the API server says {status}: {message[:_MESSAGE_MAX]}", retry_after_s)
        self.status = status


@dataclass(slots=True, eq=False)
class Event:
    """One event of a watch: an object that is there (`found`), that is gone (only its key), or how far the watch is."""

    version: str
    key: str = ""
    found: KubernetesObject | None = None
    initial_end: bool = False
    """Whether all that was there at the beginning has been told."""
    error: Refused | None = None


class LineBuffer:
    """Whole lines out of pieces that end anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """The lines that are whole with this piece, together. Raises SourceError."""
        whole = self._rest + piece
        end = whole.rfind(b"\n") + 1
        self._rest = whole[end:]
        if len(self._rest) > LINE_BYTES_MAX:
            raise SourceError(
                f"an event of the watch has more than {LINE_BYTES_MAX} bytes, which is the limit"
            )
        return whole[:end]

    def end(self) -> None:
        """There is no more. Raises FetchError in the middle of a line."""
        if self._rest.strip():
            raise FetchError("the watch ended in the middle of an event")


def events_of(lines: bytes, read: Callable[[Record], KubernetesObject]) -> list[Event]:
    """The events of whole lines; after an error there are none. Raises SourceError."""
    found = []
    for line in lines.splitlines():
        if not line.strip():
            continue
        event = _event(line, read)
        if event is not None:
            found.append(event)
        if event is not None and event.error is not None:
            break
    return found


def _event(line: bytes, read: Callable[[Record], KubernetesObject]) -> Event | None:
    try:
        found_value: object = orjson.loads(line)
    except (orjson.JSONDecodeError, RecursionError):
        # It may have what is no character in it: one annotation must not end the watch of all.
        found_value = parsed(line)
    if not isinstance(found_value, dict):
        raise SourceError(f"an event of the watch is of type {type(found_value).__name__}; it has to be dict")
    event = ExactRecord(found_value)
    kind, whole = event.text("type"), event.record("object")
    if kind == "ERROR":
        return Event("", error=Refused(whole.whole("code"), whole.text("message") or whole.text("reason")))
    if kind == "BOOKMARK":
        meta = whole.record("metadata")
        ended = meta.text_map("annotations").get(_INITIAL_END) == "true"
        return Event(meta.text("resourceVersion"), initial_end=ended)
    if kind not in ("ADDED", "MODIFIED", "DELETED"):
        return None
    found = read(whole)
    return Event(found.meta.version, found.meta.key, None if kind == "DELETED" else found)


@dataclass(slots=True, eq=False)
class Page:
    """A part of a list."""

    objects: list[KubernetesObject]
    version: str
    next: str
    """What to ask for the rest with; empty at the end."""


def page_of(body: bytes, read: Callable[[Record], KubernetesObject]) -> Page:
    """A page of a list. It reads one object after the other, so that a thread does not hold the rest up. Raises SourceError."""
    objects: list[KubernetesObject] = []
    fields: dict[str, object] = {}
    try:
        text = body.decode("utf-8", "replace")
        cleaned = without_halves if has_halves(text) else None
        for name, found, is_item in _fields(text):
            value = found if cleaned is None else cleaned(found)
            if not is_item:
                fields[name] = value
            elif name == "items":
                if not isinstance(value, dict):
                    raise SourceError("an item of the list is no object")
                objects.append(read(ExactRecord(value, f"items[{len(objects)}]")))
    except IndexError:
        raise SourceError("the list is not JSON: it ends too early") from None
    except RecursionError:
        raise SourceError("the list is not JSON: it is nested too deep") from None
    except ValueError as error:
        raise SourceError(f"the list is not JSON: {error}") from None
    whole = ExactRecord(fields)
    meta = whole.record("metadata")
    whole.records("items")
    if "items" not in fields or not meta.text("resourceVersion"):
        raise SourceError("the answer is no list: it has no items or no version")
    return Page(objects, meta.text("resourceVersion"), meta.text("continue"))


_DECODER: Final = json.JSONDecoder()


def _fields(text: str) -> Iterator[tuple[str, object, bool]]:
    """The fields of a JSON object; an array as an empty one, and then each item by itself. Raises ValueError, IndexError."""
    at = _past(text, _white(text, 0), "{")
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        at = _past(text, _white(text, at), ":")
        if text[at] == "[":
            yield str(name), [], False
            at = _past(text, at, "[")
            while text[at] != "]":
                value, at = _DECODER.raw_decode(text, at)
                yield str(name), value, True
                at = _after_item(text, at, "]")
            at += 1
        else:
            value, at = _DECODER.raw_decode(text, at)
            yield str(name), value, False
        at = _after_item(text, at, "}")


def _after_item(text: str, at: int, end: str) -> int:
    at = _white(text, at)
    return at if text[at] == end else _past(text, at, ",")


def _past(text: str, at: int, wanted: str) -> int:
    if text[at] != wanted:
        raise ValueError(f"expected {wanted} at {at}")
    return _white(text, at + 1)


def _white(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at


def refusal(body: bytes, status: int, retry_after_s: float) -> Refused:
    """Why the server refused, from the body of its answer."""
    try:
        message = ExactRecord.of_json(body).text("message")
    except (SourceError, UnicodeDecodeError):
        message = body[:_MESSAGE_MAX].decode("utf-8", "replace").strip()
    return Refused(status, message or "(no message)", retry_after_s)
