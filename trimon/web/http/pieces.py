"""Long answers, written a piece at a time: others have their turns between, on the loop as in threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import orjson
import trio

from trimon.gotext.strings import go_json
from trimon.web.http.answer import Answer

Item = TypeVar("Item")

# Everything else waits for so long, while an answer of many parts is written.
SLICE_S: Final = 0.003
# Of a list, written by one call: about a millisecond. What is not so long is not worth the dividing.
ITEMS_AT_ONCE: Final = 1000


async def gathered(pieces: Iterable[bytes]) -> bytes:
    """Pieces as a whole; whatever else waits for the loop has its turn between them."""
    out, until_s = [], time.perf_counter() + SLICE_S
    for piece in pieces:
        out.append(piece)
        if time.perf_counter() >= until_s:
            await trio.lowlevel.checkpoint()
            until_s = time.perf_counter() + SLICE_S
    return b"".join(out)


async def success_in_slices(data: object) -> Answer:
    """A success envelope around data in which long lists are iterators; what they show is read while it is written."""
    body = await gathered(map(go_json, json_pieces(data)))
    return Answer(b"".join((b'{"status":"success","data":', body, b"}")))


def json_pieces(data: object) -> Iterator[bytes]:
    """Plain data as JSON; an iterator is a list that is written item by item: the data itself, an item, a value of one."""
    if isinstance(data, Iterator):
        yield b"["
        for place, item in enumerate(data):
            if place:
                yield b","
            yield from json_pieces(item)
        yield b"]"
    elif isinstance(data, dict) and any(isinstance(value, Iterator) for value in data.values()):
        yield b"{"
        for place, (name, value) in enumerate(data.items()):
            yield (b"," if place else b"") + orjson.dumps(name) + b":"
            yield from json_pieces(value)
        yield b"}"
    else:
        yield orjson.dumps(data)


def json_list(
    items: list[Item], check: Callable[[], None], shown: Callable[[Item], object] | None = None
) -> bytes:
    """A list as JSON, for a thread; it is empty afterwards. `check` is called now and then, and may raise.

    What `shown` makes of an item exists only while it is written: to let go of a million objects at once takes long, too.
    """
    items.reverse()
    pieces = []
    while items:
        check()
        part = items[-ITEMS_AT_ONCE:]
        del items[-ITEMS_AT_ONCE:]
        part.reverse()
        pieces.append(orjson.dumps(part if shown is None else [shown(item) for item in part])[1:-1])
    return b"".join((b"[", b",".join(pieces), b"]"))


def json_map(found: Mapping[str, object], names: Sequence[str]) -> bytes:
    """Members of a mapping, in the order of the names, as JSON, for a thread."""
    pieces = [
        orjson.dumps({name: found[name] for name in names[at : at + ITEMS_AT_ONCE]})[1:-1]
        for at in range(0, len(names), ITEMS_AT_ONCE)
    ]
    return b"".join((b"{", b",".join(pieces), b"}"))
