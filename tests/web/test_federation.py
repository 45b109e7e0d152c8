"""/federate beside recorded answers of a real Prometheus 3.14, and its corners."""

from __future__ import annotations

import base64
import gzip
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cramjam
import pytest

from tests.support import protobuf
from tests.support.asgi import Call
from tests.support.oracle import recordings
from tests.support.web_world import WebWorld, web_world
from trimon.actors.storage.actor import NotReady
from trimon.model.labels import Labels
from trimon.model.sample import STALE_NAN
from trimon.rules.alerting import AlertOrigin
from trimon.web.context import WebOptions
from trimon.web.exposition import federated

_, *CASES = recordings("api/cases.jsonl") or [{}]
FEDERATED = [
    case
    for case in CASES
    if case.get("path", "").startswith("/federate?") and case["status"] == 200 and case.get("body")
]
EXTERNAL: Labels = (("dc", "lon"), ("zz", "1"))
NOW_MS = 1_700_000_000_000
# What was recorded later is told as of then: the store takes no samples of the future.
EARLIER_MS = 1_795_647_936_000 - NOW_MS
WRITE = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
OPTIONS = WebOptions(enable_remote_write=True)
DELIMITED = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
_PAIR = re.compile(r'(\w+|"[^"]+")="([^"]*)"')
Series = tuple[dict[str, str], list[tuple[int, float]]]


def changes(external: Labels = EXTERNAL, now_ms: int = NOW_MS) -> dict[str, Any]:
    """A context at a fixed time, with external labels."""
    clock: Any = SimpleNamespace(now_ms=lambda: now_ms, monotonic_s=lambda: 0.0)
    return {"clock": clock, "alert_origin": AlertOrigin(external_labels=lambda: external)}


async def write(here: WebWorld, series: list[Series]) -> None:
    """Stores samples."""
    body = b"".join(protobuf.series(sorted(labels.items()), samples) for labels, samples in series)
    compressed = bytes(cramjam.snappy.compress_raw(body))
    status, _, text = await Call("POST", "/api/v1/write", WRITE, compressed).to(here.client.app)
    assert status == 204, text


async def asked(here: WebWorld, query: str, accept: str = "") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a federation."""
    headers = {"accept": accept} if accept else {}
    status, sent, body = await Call("GET", f"/federate{query}", headers).to(here.client.app)
    return status, {name.decode(): value.decode() for name, value in sent}, body


def series_of(line: str) -> Series:
    """The series of a line of text, without the labels that federation added."""
    shown, value, time_ms = line.rsplit(" ", 2)
    labels = {name.strip('"'): text for name, text in _PAIR.findall(shown) if (name, text) not in EXTERNAL}
    name = re.match(r'\w+|\{"([^"]+)"', shown)
    assert name is not None
    labels["__name__"] = name[1] or name[0]
    return labels, [(int(time_ms), float(value))]


@pytest.mark.parametrize("case", FEDERATED, ids=lambda case: case["id"])
async def test_a_federation_is_that_of_prometheus(case: dict[str, Any], tmp_path: Path) -> None:
    """From the samples that a recorded answer shows comes the same answer, byte for byte, with the same headers."""
    wanted = re.sub(r" (\d{13})\n", lambda found: f" {int(found[1]) - EARLIER_MS}\n", case["body"])
    lines = [line for line in wanted.splitlines() if not line.startswith("#")]
    series = [series_of(line) for line in lines]
    if case["id"] == "a271":  # its names are escaped, which only a271's own request undoes
        series = [({"__name__": "my.metric", "a.b": "c", **labels}, samples) for labels, samples in series]
        for labels, _ in series:
            labels["__name__"] = "my.metric"
            labels.pop("a_b")
    async with web_world(tmp_path, OPTIONS, changes()) as here:
        await write(here, series)
        path = case["path"].removeprefix("/federate")
        accept = (case.get("request_headers") or {}).get("Accept", "")
        status, headers, body = await asked(here, path, accept)
        assert (status, body.decode()) == (200, wanted)
        del headers["content-length"]
        assert headers == {**case["headers"], "x-content-type-options": "nosniff"}  # as all answers of ours


async def test_errors_are_text_and_nothing_asked_is_nothing(tmp_path: Path) -> None:
    """A bad selector is 400 in plain words; without selectors the answer is empty; POST is not offered."""
    async with web_world(tmp_path, OPTIONS, changes()) as here:
        status, headers, body = await asked(here, "?match[]=bad%7B")
        assert (status, body) == (400, b"1:5: parse error: unexpected end of input inside braces\n")
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert headers["vary"] == "Accept-Encoding"
        assert (await asked(here, ""))[::2] == (200, b"")
        status, _, _ = await Call("POST", "/federate", {}, b"x").to(here.client.app)
        assert status == 405
        assert here.metrics.value("prometheus_web_federation_errors_total") == 0


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?match[]=up&x=%zz", 'invalid URL escape "%zz"'),
        ("?match[]=up;x", "invalid semicolon separator in query"),
    ],
)
async def test_a_query_that_is_none_is_refused(query: str, reason: str, tmp_path: Path) -> None:
    """A bad escape anywhere, or a semicolon, is 400 in Go's words."""
    async with web_world(tmp_path, OPTIONS, changes()) as here:
        status, _, body = await asked(here, query)
        assert (status, body.decode()) == (400, f"error parsing form values: {reason}\n")


async def test_a_selector_without_matchers_selects_nothing(tmp_path: Path) -> None:
    """`{}` is empty beside a selector that matches all; a zero has no sign in the text."""
    async with web_world(tmp_path, OPTIONS, changes(())) as here:
        await write(here, [({"__name__": "m"}, [(NOW_MS, -0.0)])])
        for empty in ("{}", "%7B%20%7D"):
            assert (await asked(here, f"?match[]={empty}"))[::2] == (200, b"")
        wanted = f'# TYPE m untyped\nm{{instance=""}} 0 {NOW_MS}\n'.encode()
        for query in ("?match[]={__name__=~%22.*%22}", "?match[]={job!=%22x%22}&match[]={}", "?match[]=m"):
            assert (await asked(here, query))[::2] == (200, wanted)


async def test_while_the_log_is_replayed_it_is_503(tmp_path: Path) -> None:
    """A store that cannot be read yet is told in text, and counted."""

    class Busy:
        async def run(self, *_: object, **__: object) -> None:
            raise NotReady

    async with web_world(tmp_path, OPTIONS, {"queries": Busy()}) as here:
        status, headers, _ = await asked(here, "?match[]=up")
        assert status == 503
        assert headers["content-type"].startswith("text/plain")
        assert here.metrics.value("prometheus_web_federation_errors_total") == 1


async def test_what_is_stale_old_or_nameless_is_left_out(tmp_path: Path) -> None:
    """Series that ended, whose newest sample is as old as the lookback, or that have no name are not shown."""
    async with web_world(tmp_path, OPTIONS, changes(())) as here:
        await write(
            here,
            [
                ({"__name__": "gone", "k": "1"}, [(NOW_MS - 2000, 1.0), (NOW_MS - 1000, STALE_NAN)]),
                ({"__name__": "old", "k": "1"}, [(NOW_MS - 300_000, 1.0)]),
                ({"__name__": "young", "k": "1"}, [(NOW_MS - 299_999, 1.5), (NOW_MS + 1, 9.0)]),
            ],
        )
        body = (await asked(here, "?match[]={k=%221%22}"))[2].decode()
        assert body == f'# TYPE young untyped\nyoung{{k="1",instance=""}} 1.5 {NOW_MS - 299_999}\n'


async def test_own_labels_win_over_external_ones(tmp_path: Path) -> None:
    """A series keeps its own value of an external label; those it lacks follow in order, instance among them."""
    external = (("dc", "lon"), ("job", "x"))
    async with web_world(tmp_path, OPTIONS, changes(external)) as here:
        await write(
            here,
            [
                ({"__name__": "m", "job": "own", "z": 'a"\\\n'}, [(NOW_MS, float("inf"))]),
                ({"__name__": "m"}, [(NOW_MS, 1e6)]),
            ],
        )
        body = (await asked(here, "?match[]=m&match[]={__name__=~%22m%22}"))[2].decode()
        assert body == (
            "# TYPE m untyped\n"
            f'm{{dc="lon",instance="",job="x"}} 1e+06 {NOW_MS}\n'
            f'm{{job="own",z="a\\"\\\\\\n",dc="lon",instance=""}} +Inf {NOW_MS}\n'
        )


@pytest.mark.parametrize("rows", [0, 1, 5000, 40_000])
@pytest.mark.parametrize("accept", ["", DELIMITED])
async def test_many_series_come_in_pieces(
    rows: int, accept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many series there are, each is shown once in order; many are streamed and few have a length."""
    if accept and rows > 5000:
        monkeypatch.setattr(federated, "SLICE_ROWS", 777)
    async with web_world(tmp_path, OPTIONS, changes(())) as here:
        for start in range(0, rows, 10_000):
            await write(
                here,
                [
                    ({"__name__": f"m{row % 3}", "n": f"{row:06}"}, [(NOW_MS, float(row))])
                    for row in range(start, min(start + 10_000, rows))
                ],
            )
        status, headers, body = await asked(here, "?match[]={__name__=~%22m.*%22}", accept)
        assert status == 200
        assert ("content-length" in headers) == (rows < 16_000)
        wanted = [(f"m{kind}", row) for kind in range(3) for row in range(kind, rows, 3)]
        if accept:
            families = list(delimited(body))
            assert [name for name, _ in families] == [f"m{kind}" for kind in range(min(3, rows))]
            assert sum(count for _, count in families) == rows
            return
        found = re.findall(r'^(m\d)\{n="(\d+)",instance=""\} (\S+) \d+$', body.decode(), re.MULTILINE)
        assert [(name, int(number)) for name, number, _ in found] == wanted
        assert body.count(b"# TYPE") == min(3, rows)


def delimited(body: bytes) -> Any:
    """(name, number of metrics) of each message."""
    at = 0
    while at < len(body):
        size, at = _varint(body, at)
        end, name, metrics = at + size, "", 0
        while at < end:
            tag, at = _varint(body, at)
            if tag & 7 == 0:
                _, at = _varint(body, at)
                continue
            length, at = _varint(body, at)
            if tag >> 3 == 1:
                name = body[at : at + length].decode()
            metrics += tag >> 3 == 4
            at += length
        assert at == end
        yield name, metrics


def _varint(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = body[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


async def test_a_recorded_message_has_the_bytes_of_prometheus(tmp_path: Path) -> None:
    """The first message of a recorded delimited answer is written the same, its times aside."""
    case = next((case for case in CASES if case.get("id") == "a267"), None)
    if case is None:
        pytest.skip("no recordings of Prometheus 3.14 beside the repository")
    raw = base64.b64decode(case["body_base64"])
    size, at = _varint(raw, 0)
    message = raw[: at + size]
    stamps = {
        _varint(message, found.start() + 1)[0]
        for found in re.finditer(rb"0[\x80-\xff]{5}[\x01-\x7f]", message)
    }
    (stamp,) = stamps
    common = {
        "alertname": "Fire",
        "alertstate": "firing",
        "env": "p",
        "instance": "127.0.0.1:19474",
        "job": "good",
    }
    pages = [{"a": a, "v": v, "severity": "page", "zone": "z"} for a, v in (("1", "1"), ("2", "2.5"))]
    series = [{"__name__": "ALERTS", **common, **page} for page in pages]
    if b"Pend" in message:
        pending = {"alertname": "Pend", "alertstate": "pending", "a": "2", "zone": "z"}
        series.append({"__name__": "ALERTS", **common, **pending})
    async with web_world(tmp_path, OPTIONS, changes(now_ms=stamp - EARLIER_MS + 10)) as here:
        await write(here, [(labels, [(stamp - EARLIER_MS, 1.0)]) for labels in series])
        _, headers, body = await asked(here, "?match[]=ALERTS", DELIMITED)
        assert headers["content-type"] == case["headers"]["content-type"]
        assert body == message.replace(protobuf.varint(stamp), protobuf.varint(stamp - EARLIER_MS))


async def test_it_is_compressed_where_asked_for(tmp_path: Path) -> None:
    """gzip holds the same text."""
    async with web_world(tmp_path, OPTIONS, changes(())) as here:
        await write(here, [({"__name__": "m", "n": f"{n:080}"}, [(NOW_MS, 1.0)]) for n in range(50)])
        call = Call("GET", "/federate?match[]=m", {"accept-encoding": "gzip"})
        _, headers, body = await call.to(here.client.app)
        assert dict(headers)[b"vary"] == b"Accept-Encoding"
        assert gzip.decompress(body) == (await asked(here, "?match[]=m"))[2]
