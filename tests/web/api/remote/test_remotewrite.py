"""The remote write receiver: which requests are taken, what is stored, and what is answered otherwise."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cramjam
import pytest
import trio
from trio.testing import MockClock

from tests.support import protobuf, protobuf2
from tests.support.asgi import Call
from tests.support.web_world import WebWorld, web_world
from trimon import limits
from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.metrics.storage import storage_metrics
from trimon.errors import OperatingError
from trimon.model.rows import Appended
from trimon.web.context import WebOptions

ENABLED = WebOptions(enable_remote_write=True)
NOW = 1_700_000_000_000
PROTO = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}

HEADERS_2 = {"Content_Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}


def packed(*messages: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(b"".join(messages)))


def series(name: str, *samples: tuple[int, float], **labels: str) -> bytes:
    return protobuf.series(sorted({"__name__": name, **labels}.items()), samples)


async def post(here: WebWorld, body: bytes, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await here.client.post("/api/v1/write", data=body, headers={**PROTO, **named})
    return answer.status_code, await answer.get_data(as_text=True)


async def test_samples_are_stored(tmp_path: Path) -> None:
    """A request is answered with 204 and no body, and its samples and metadata are there."""
    async with web_world(tmp_path, ENABLED) as here:
        body = packed(
            series("m", (NOW, 1.5), (NOW + 1000, 2.5), a="1"),
            series("m", (NOW, 0.0), a="2"),
            protobuf.metadata(1, "m", "help", "s"),
        )
        assert await post(here, body) == (204, "")
        assert sorted(here.world.samples("m"), key=str) == [
            ({"__name__": "m", "a": "1"}, [(NOW, 1.5), (NOW + 1000, 2.5)]),
            ({"__name__": "m", "a": "2"}, [(NOW, 0.0)]),
        ]
        assert here.world.store.metadata["m"] == ("counter", "help", "s")


async def test_off_by_default(tmp_path: Path) -> None:
    """Without its flag the receiver answers 404 and says which flag it needs."""
    async with web_world(tmp_path) as here:
        assert await post(here, packed(series("m", (NOW, 1.0)))) == (
            404,
            "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n",
        )
        assert here.world.samples("m") == []


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({"Content_Encoding": "gzip"}, 415, "gzip encoding (compression) is not accepted by this server; only snappy"),
        ({"Content_Encoding": "zstd"}, 415, "zstd encoding (compression) is not accepted"),
        ({"Content_Encoding": ""}, 204, ""),
        ({"Content_Type": ""}, 204, ""),
        ({"Content_Type": "application/json"}, 415, "expected application/x-protobuf as the first (media) part, got"),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415, "expected application/x-protobuf as"),
        ({"Content_Type": "application/x-protobuf;a=b"}, 204, ""),
        ({"Content_Type": "application/x-protobuf;"}, 415, "key-values, got  in application/x-protobuf; content-type"),
        ({"Content_Type": "application/x-protobuf;charset"}, 415, "key-values, got charset in application/x-proto"),
        ({"Content_Type": "application/x-protobuf;a=b=c"}, 415, "key-values, got a=b=c in application/x-proto"),
        ({"Content_Type": "application/x-protobuf;proto=prometheus.WriteRequest"}, 204, ""),
        ({"Content_Type": "application/x-protobuf; proto=io.prometheus.write.v2.Request"}, 204, ""),
        ({"Content_Type": "application/x-protobuf;proto=x.Y"}, 415, "unknown type for remote write protobuf message x.Y"),
    ],
)  # fmt: skip
async def test_headers(headers: dict[str, str], status: int, words: str, tmp_path: Path) -> None:
    """Which encodings and content types are taken; what is refused is told, and nothing is stored."""
    async with web_world(tmp_path, ENABLED) as here:
        code, text = await post(here, packed(series("m", (NOW, 1.0))), **headers)
        assert code == status, text
        assert words in text
        assert len(here.world.samples("m")) == (status == 204)


async def test_method(tmp_path: Path) -> None:
    """Any method but POST is 405."""
    async with web_world(tmp_path, ENABLED) as here:
        answer = await here.client.get("/api/v1/write")
        assert (answer.status_code, await answer.get_data(as_text=True)) == (405, "Method Not Allowed\n")


@pytest.mark.parametrize("options", [ENABLED, WebOptions()], ids=["on", "off"])
async def test_other_methods_are_told_which_there_is(options: WebOptions, tmp_path: Path) -> None:
    """Nothing but POST is taken, whatever its encoding is and whether the receiver is on."""
    async with web_world(tmp_path, options) as here:
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            call = Call(method, "/api/v1/write", {"content-encoding": "br"})
            status, headers, _ = await call.to(here.client.app)
            assert (status, dict(headers)[b"allow"]) == (405, b"OPTIONS, POST")


def bomb(size: int) -> bytes:
    return protobuf.varint(size) + b"\x00"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "s2: corrupt input"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "s2: corrupt input"),
        (b"nonsense", "s2: corrupt input"),
        (packed(series("m", (NOW, 1.0)))[:-3], "s2: corrupt input"),
        (bomb(limits.REMOTE_WRITE_DECODED_BYTES_MAX + 1), "exceeds the limit of 33554432"),
        (bomb(2**40), "exceeds the limit of 33554432"),
        (packed(series("m", (NOW, 1.0))[:-3]), "unexpected EOF"),
        (packed(b"\x0f"), "illegal wireType 7"),
    ],
)
async def test_bodies_that_cannot_be_read(body: bytes, words: str, tmp_path: Path) -> None:
    """A body that is no snappy block, claims too much, or holds no message is 400, and nothing is stored."""
    async with web_world(tmp_path, ENABLED) as here:
        code, text = await post(here, body)
        assert (code, words in text) == (400, True), text
        assert here.world.samples("m") == []


async def test_too_big(tmp_path: Path) -> None:
    """A body above the cap is 413 with the cap in its text."""
    async with web_world(tmp_path, ENABLED) as here:
        code, text = await post(here, bytes(limits.REMOTE_WRITE_BODY_BYTES_MAX + 1))
        assert (code, text) == (413, "request body of 33554433 bytes exceeds the limit of 33554432 bytes\n")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ((NOW - 10, 1.0), "out of order sample"),
        (
            (NOW, 2.0),
            f"duplicate sample for timestamp {NOW}; overrides not allowed: existing 1, new value 2",
        ),
        (
            (NOW + limits.FUTURE_MS_MAX + 60_000, 1.0),
            "out of bounds: timestamp is too far in the future",
        ),
        ((5, 1.0), "out of bounds"),
    ],
)
async def test_one_bad_sample_refuses_the_request(bad: tuple[int, float], words: str, tmp_path: Path) -> None:
    """A refused sample is 400 with Prometheus' words, the log names its series, and what is beside it is not stored."""
    async with web_world(tmp_path, ENABLED) as here:
        assert (await post(here, packed(series("m", (NOW, 1.0)))))[0] == 204
        code, text = await post(here, packed(series("good", (NOW, 1.0)), series("m", bad)))
        assert (code, text) == (400, words + "\n")
        (told,) = [
            fields
            for _, what, fields in here.world.log.entries
            if what == "Out of order sample from remote write"
        ]
        assert (told["err"], told["series"], told["timestamp"]) == (words, '{__name__="m"}', bad[0])
        assert here.world.samples("good") == []
        assert here.world.samples("m") == [({"__name__": "m"}, [(NOW, 1.0)])]


async def test_the_same_request_again_is_taken(tmp_path: Path) -> None:
    """A request that is repeated, because its answer got lost, is 204 and stores nothing twice."""
    async with web_world(tmp_path, ENABLED) as here:
        body = packed(series("m", (NOW, 1.0)))
        assert [(await post(here, body))[0] for _ in range(2)] == [204, 204]
        assert here.world.samples("m") == [({"__name__": "m"}, [(NOW, 1.0)])]


async def test_invalid_series_are_counted_and_left_out(tmp_path: Path) -> None:
    """A series without a name fails no request; it is counted."""
    async with web_world(tmp_path, ENABLED) as here:
        nameless = protobuf.series([("a", "b")], [(NOW, 1.0)])
        assert (await post(here, packed(nameless, series("m", (NOW, 1.0)))))[0] == 204
        assert len(here.world.samples("m")) == 1
        assert here.metrics.value("prometheus_api_remote_write_invalid_labels_samples_total") == 1


async def test_a_wrong_histogram_refuses_the_request(tmp_path: Path) -> None:
    """A request with a native histogram that contradicts itself is 400, says so, and nothing of it is stored."""
    async with web_world(tmp_path, ENABLED) as here:
        native = {"timestamp": NOW, "count_int": 3, "sum": 1.0, "zero_count_int": 2}
        histogram = protobuf.series([("__name__", "h")], [], protobuf.histogram(native))
        code, text = await post(here, packed(series("m", (NOW, 1.0)), histogram))
        assert code == 400
        assert text == (
            "2 observations found in buckets, but the Count field is 3: histogram's observation count should equal "
            "the number of observations found in the buckets (in absence of NaN)\n"
        )
        assert here.world.samples("m") == []


async def test_a_series_that_is_listed_twice_keeps_its_histograms(tmp_path: Path) -> None:
    """Histograms of one series in two places of a request are all stored, not those of the last place alone."""
    async with web_world(tmp_path, ENABLED) as here:
        parts = []
        for step in range(3):
            native = {"timestamp": NOW + step, "count_int": 2 + step, "sum": 1.0, "zero_count_int": 2 + step}
            parts.append(protobuf.series([("__name__", "h")], [], protobuf.histogram(native)))
        assert (await post(here, packed(*parts)))[0] == 204
        answer = await here.client.get(f"/api/v1/query?query=h[10s]&time={(NOW + 5) / 1000}")
        (found,) = (await answer.get_json())["data"]["result"]
        assert [value["count"] for _, value in found["histograms"]] == ["2", "3", "4"]


def exemplar(trace: str, time_ms: int) -> bytes:
    value = b"\x11" + struct.pack("<d", 0.5) + b"\x18" + protobuf.varint(time_ms)
    return protobuf.field(3, protobuf.labels([("trace_id", trace)]) + value)


async def test_exemplars_are_stored_and_never_fail_a_request(tmp_path: Path) -> None:
    """Exemplars are kept; one that comes too late is counted, and the request is 204."""
    async with web_world(tmp_path, ENABLED) as here:
        name = [("__name__", "m")]
        first = protobuf.series(name, [(NOW, 1.0)], exemplar("a", NOW))
        late = protobuf.series(name, [(NOW + 1, 1.0)], exemplar("b", NOW - 5))
        assert [(await post(here, packed(body)))[0] for body in (first, late)] == [204, 204]
        assert len(here.world.store.exemplars) == 1
        assert here.metrics.value("trimon_remote_write_exemplars_refused_total") == 1


async def test_late_exemplars_of_2_0_are_told(tmp_path: Path) -> None:
    """The answer is 400 and names the series; its sample stays, and what is late within one request fails nothing."""
    async with web_world(tmp_path, ENABLED) as here:
        name = [("__name__", "m")]
        answers = []
        for step, times in enumerate([(NOW,), (NOW - 5,), (NOW + 9, NOW + 7)]):
            table = protobuf2.SymbolTable()
            exemplars = b"".join(protobuf2.exemplar(table, {"t": "x"}, 0.5, at) for at in times)
            body = protobuf2.request([protobuf2.series(table, name, [(NOW + step, 1.0)], exemplars)], table)
            answers.append(await post(here, packed(body), **HEADERS_2))
        assert answers == [(204, ""), (400, 'out of order exemplar for series {__name__="m"}\n'), (204, "")]
        assert len(here.world.store.exemplars) == 2
        answer = await here.client.get(f"/api/v1/query?query=m[10s]&time={(NOW + 5) / 1000}")
        (found,) = (await answer.get_json())["data"]["result"]
        assert len(found["values"]) == 3


async def test_exemplars_whose_labels_are_no_text(tmp_path: Path) -> None:
    """The label is left out, by 1.0 and 2.0, and storage goes on."""
    async with web_world(tmp_path, ENABLED) as here:
        name = [("__name__", "m")]
        table = protobuf2.SymbolTable()
        odd = protobuf2.exemplar(table, {"a": "\udcff", "\udcfe": "b", "t": "x"}, 0.5, NOW)
        second = protobuf2.request([protobuf2.series(table, name, [(NOW, 1.0)], odd)], table)
        assert await post(here, packed(second), **HEADERS_2) == (204, "")
        first = protobuf.series(
            name, [(NOW + 1, 1.0)], exemplar("a", NOW + 1).replace(b"trace_id", b"trace_\xff\xfe")
        )
        assert (await post(here, packed(first)))[0] == 204
        found = here.world.store.exemplars.query([[]], 0, 2 * NOW)
        assert [each.labels for _, mine in found for each in mine] == [(("t", "x"),), ()]


@pytest.mark.parametrize(
    ("body", "second", "words"),
    [
        (b"\x08\x01", False, "proto: wrong wireType = 0 for field Timeseries"),
        (b"\x1d\x00\x00\x00\x00", False, "proto: wrong wireType = 5 for field Metadata"),
        (b"\x0a\x02\x10\x01", False, ""),
        (b"\x20\x01", True, "proto: wrong wireType = 0 for field Symbols"),
        (b"\x28\x01", True, "proto: wrong wireType = 0 for field Timeseries"),
        (b"\x2a\x02\x10\x01", True, "proto: wrong wireType = 0 for field Samples"),
        (b"\x08\x01", True, ""),
        (b"\x78\x01", False, ""),
    ],
)
async def test_a_message_of_another_kind(body: bytes, second: bool, words: str, tmp_path: Path) -> None:
    """What has a known field by another wire type is refused; unknown fields are skipped, as is a series without a name."""
    async with web_world(tmp_path, ENABLED) as here:
        status, text = await post(here, packed(body), **(HEADERS_2 if second else {}))
        assert (status, text.strip()) == (400 if words else 204, words)


class FailingWriter:
    """A writer that cannot store."""

    def __init__(self, fail: Callable[[], Exception]) -> None:
        self.fail = fail

    async def append(self, *messages: object) -> tuple[Appended, ...]:
        # Each time another: an error that lives on holds the frames that it went through.
        raise self.fail()


@pytest.mark.parametrize(
    ("fail", "status", "retry_after"),
    [
        (lambda: OperatingError("disk full"), 500, None),
        (lambda: AskTimeout("storage", 60.0), 503, "5"),
    ],
    ids=["disk", "writer"],
)
async def test_what_the_sender_should_repeat(
    fail: Callable[[], Exception], status: int, retry_after: str | None, tmp_path: Path
) -> None:
    """Trouble with the disk is 500, a jammed writer 503 with Retry-After: senders repeat both."""
    writer: Any = FailingWriter(fail)
    async with web_world(tmp_path, ENABLED, {"writer": writer}) as here:
        body = packed(series("m", (NOW, 1.0)))
        answer = await here.client.post("/api/v1/write", data=body, headers=PROTO)
        assert answer.status_code == status
        assert answer.headers.get("Retry-After") == retry_after


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([(NOW - 10, 1.0), (NOW - 10, 2.0)], [(NOW - 10, 1.0)]),
        ([(NOW, 1.0), (NOW - 10, 2.0), (NOW + 5, 3.0)], [(NOW, 1.0), (NOW + 5, 3.0)]),
        ([(NOW, 1.0), (NOW, 1.0)], [(NOW, 1.0)]),
    ],
    ids=["two values for one time", "a descending pair", "twice the same"],
)
async def test_a_request_that_contradicts_itself_is_taken(
    sent: list[tuple[int, float]], kept: list[tuple[int, float]], tmp_path: Path
) -> None:
    """What is stored alone refuses samples: of one request the first counts, the rest is left out and counted."""
    async with web_world(tmp_path, ENABLED) as here:
        code, text = await post(here, packed(series("m", *sent), series("other", (NOW, 4.0))))
        assert (code, text) == (204, "")
        frame = here.context.snapshot().select((), NOW - 60_000, NOW + 60_000)
        assert frame.labels.rows == 2
        answer = await here.client.get(f"/api/v1/query?query=m[1m]&time={(NOW + 5) / 1000}")
        (row,) = (await answer.get_json())["data"]["result"]
        assert [(round(time_s * 1000), float(value)) for time_s, value in row["values"]] == kept


async def test_series_that_are_left_out_are_told_once_a_minute(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left out is named in the log with what is wrong and a count, however much it is: the sender hears nothing."""
    monkeypatch.setattr(limits, "LABEL_VALUE_BYTES_MAX", 10)
    async with web_world(tmp_path, ENABLED) as here:

        def told() -> list[dict[str, object]]:
            return [fields for _, what, fields in here.world.log.entries if "left out" in what]

        long = packed(series("m", (NOW, 1.0), a="x" * 11), series("n", (NOW, 1.0), a="x" * 11))
        assert (await post(here, long))[0] == 204
        such_as = "m: more than 10 characters in the value of label 'a'"
        assert told() == [{"count": 2, "err": such_as}]
        for _ in range(3):
            await post(here, long)
        assert len(told()) == 1
        await trio.sleep(61)
        await post(here, packed(series("m", (NOW, 1.0))))
        assert len(told()) == 1
        await post(here, long)
        assert told()[1:] == [{"count": 8, "err": such_as}]


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        (b"\xff\xff", {}, 400, "s2: corrupt input"),
        (packed(b"\x0a\xff"), {}, 400, "unexpected EOF"),
        (b"", {"Content_Encoding": "gzip"}, 415, "only snappy is acceptable"),
        (packed(b""), {"Content_Type": "text/plain"}, 415, "got text/plain content-type"),
        (b"", {"Content_Type": "text/plain"}, 400, "s2: corrupt input"),
        (b"garbage", {"Content_Type": "application/x-www-form-urlencoded"}, 400, "s2: corrupt input"),
        (b"garbage", {"Content_Type": "application/x-protobuf;proto=x.Y"}, 400, "s2: corrupt input"),
    ],
)
async def test_requests_that_cannot_be_read_are_told(
    body: bytes, headers: dict[str, str], status: int, error: str, tmp_path: Path
) -> None:
    """The log says what a sender was answered, and who he is: few senders show it to anybody."""
    async with web_world(tmp_path, ENABLED) as here:
        for _ in range(2):
            assert (await post(here, body, User_Agent="sender/1", **headers))[0] == status
        ((level, fields),) = [
            (level, fields)
            for level, what, fields in here.world.log.entries
            if what == "a remote write request is refused"
        ]
        assert (level, fields["status"], fields["user_agent"], fields["count"]) == (
            "error",
            status,
            "sender/1",
            1,
        )
        assert error in str(fields["err"])


@pytest.mark.parametrize(
    ("late_ms", "name"),
    [(-10, "out_of_order"), (limits.FUTURE_MS_MAX + 60_000, "out_of_bound")],
)
async def test_refused_samples_are_counted(late_ms: int, name: str, tmp_path: Path) -> None:
    """The sample that a request is refused for is counted where Prometheus counts it, with its type as label."""
    async with web_world(tmp_path, ENABLED) as here:
        families = storage_metrics(here.world.store)

        def counted() -> dict[tuple[tuple[str, ...], tuple[str, ...]], float]:
            (found,) = (each for each in families() if each.name == f"prometheus_tsdb_{name}_samples_total")
            return {(found.label_names, values): number for values, number in found.samples}

        await post(here, packed(series("m", (NOW, 1.0))))
        assert counted() == {(("type",), ("float",)): 0.0}
        assert (await post(here, packed(series("m", (NOW + late_ms, 1.0)))))[0] == 400
        assert counted() == {(("type",), ("float",)): 1.0}
