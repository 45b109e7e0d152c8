"""Packed answers: which encoding, which bodies, part by part; and long answers that are never joined."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asgi import Call
from trimon.offload import InlineOffload
from trimon.web.http.answer import PART_BYTES, Answer, success, success_in_parts
from trimon.web.http.compression import INLINE_BYTES_MAX, Compression, encoding_for, packed
from trimon.web.http.endpoint import Endpoint, EndpointTable
from trimon.web.http.messages import send_answer, set_match

UNPACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


class CountingOffload(InlineOffload):
    """Counts what is in a thread at a time."""

    def __init__(self) -> None:
        self.runs = 0
        self.busy = False

    async def run(
        self, work: Callable[[], Any], on_cancel: Callable[[], None] | None = None
    ) -> Any:  # as its kin
        self.runs, self.busy = self.runs + 1, True
        await trio.lowlevel.checkpoint()
        self.busy = False
        return work()


def chain(answer: Answer, offload: InlineOffload, path: str = "/api/v1/x") -> Callable[..., Awaitable[None]]:
    """An application that gives one answer, behind the compression."""

    async def handler(_: object) -> Answer:
        return answer

    table = EndpointTable("", [Endpoint(path, ("GET",), handler)])

    async def app(_: Any, __: Any, send: Any) -> None:
        await send_answer(send, answer)

    compression = Compression(app, offload)

    async def matched(scope: Any, receive: Any, send: Any) -> None:
        set_match(scope, table.find(scope["path"]))
        await compression(scope, receive, send)

    return matched


def long_answer() -> Answer:
    """An answer of some parts."""
    return success_in_parts(b'["' + bytes([97 + number % 26]) * 100_000 + b'"]' for number in range(20))


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        ("", ""), ("identity", ""), ("br", ""), ("gzip", "gzip"), ("br, deflate, gzip", "deflate"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0, gzip", "gzip"), ("gzip;q=0", ""), ("gzip; q=0.5", "gzip"), ("*", ""),
    ],
)  # fmt: skip
def test_encodings(accepted: str, wanted: str) -> None:
    """zstd where it is taken, else the first that is known, none whose weight is nought."""
    assert encoding_for(accepted) == wanted


@given(st.sampled_from(sorted(UNPACKERS)), st.binary(max_size=5000))
def test_bodies_of_every_length_come_back(encoding: str, body: bytes) -> None:
    """What is packed is unpacked to the same, short bodies with their small window too."""
    assert UNPACKERS[encoding](packed(encoding, body)) == body


@pytest.mark.parametrize("encoding", UNPACKERS)
async def test_short_answers_of_the_api_are_packed(encoding: str) -> None:
    """As Prometheus does, answers of the API are packed however short, other short ones are not, and empty ones neither."""
    _, headers, body = await Call("GET", "/api/v1/x", {"accept-encoding": encoding}).to(
        chain(success(1), InlineOffload())
    )
    assert dict(headers)[b"content-encoding"] == encoding.encode()
    assert dict(headers)[b"content-length"] == str(len(body)).encode()
    assert UNPACKERS[encoding](body) == success(1).body
    for answer, path in ((success(1), "/x"), (Answer(b"", 204, ""), "/api/v1/x")):
        _, headers, body = await Call("GET", path, {"accept-encoding": encoding}).to(
            chain(answer, InlineOffload(), path)
        )
        assert b"content-encoding" not in dict(headers)
        assert body == answer.body


@pytest.mark.parametrize("encoding", UNPACKERS)
async def test_parts_are_packed_one_by_one(encoding: str) -> None:
    """A long answer is packed part by part in a thread, which is free while a part is sent."""
    whole = b"".join(long_answer().parts or ())
    offload = CountingOffload()
    call = Call("GET", "/api/v1/x", {"accept-encoding": encoding})
    answer = long_answer()
    parts = len(answer.parts or ())
    _, headers, body = await call.to(chain(answer, offload))
    assert UNPACKERS[encoding](body) == whole
    assert b"content-length" not in dict(headers)
    assert parts - 1 <= offload.runs <= parts
    assert parts > 5


async def test_a_slow_reader_of_a_packed_answer_holds_no_thread() -> None:
    """While a client does not read, nothing of its answer is in a thread."""
    offload, stuck, seen = CountingOffload(), trio.Event(), 0

    async def send(message: Any) -> None:
        nonlocal seen
        if message["type"] == "http.response.body" and message["body"]:
            assert not offload.busy
            seen += 1
            stuck.set()
            await trio.sleep_forever()

    async def receive() -> Any:
        await trio.sleep_forever()

    scope = Call("GET", "/api/v1/x", {"accept-encoding": "gzip"}).scope
    async with trio.open_nursery() as nursery:
        nursery.start_soon(chain(long_answer(), offload), scope, receive, send)
        await stuck.wait()
        assert not offload.busy
        nursery.cancel_scope.cancel()
    assert seen == 1


async def test_parts_go_as_they_are_sent() -> None:
    """A long answer tells its length, is sent part by part, and each part is let go of when it has gone."""
    answer = long_answer()
    size = answer.size_bytes
    left: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert dict(message["headers"])[b"content-length"] == str(size).encode()
        else:
            assert len(message["body"]) < 2 * PART_BYTES
            left.append(len(answer.parts or ()))

    await send_answer(send, answer)
    assert left == list(range(len(left) - 1, -1, -1))


@given(
    st.lists(st.text(alphabet="a<&é\u2028𝔘", max_size=50)),
    st.lists(st.text(max_size=3), max_size=2),
    st.booleans(),
)
def test_parts_are_the_same_text(pieces: list[str], warnings: list[str], is_long: bool) -> None:
    """Put together the parts are what the envelope around the whole is, escapes and warnings too."""
    data = [b'"', *(piece.encode() * (30_000 if is_long else 1) for piece in pieces), b'"']
    answer = success_in_parts(iter(data), warnings, warnings)
    assert answer.body + b"".join(answer.parts or ()) == success(b"".join(data), warnings, warnings).body


async def test_a_known_length_that_comes_in_pieces_is_packed_whole_when_short() -> None:
    """The framework sends a body in several messages: a short one keeps a length."""

    async def app(_: Any, __: Any, send: Any) -> None:
        size = INLINE_BYTES_MAX // 2
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]}
        )
        await send({"type": "http.response.body", "body": b"a" * size, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def matched(scope: Any, receive: Any, send: Any) -> None:
        set_match(scope, None)
        await Compression(app, InlineOffload())(scope, receive, send)

    _, headers, body = await Call("GET", "/", {"accept-encoding": "gzip"}).to(matched)
    assert dict(headers)[b"content-length"] == str(len(body)).encode()
    assert gzip.decompress(body) == b"a" * (INLINE_BYTES_MAX // 2)
