"""The OTLP receiver over HTTP: which requests are taken, what is stored, and what is answered otherwise."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from tests.support.otlp import buckets, encoded, gauge, histogram, point, request, sum_
from tests.support.web_world import WebWorld, web_world
from trimon import limits
from trimon.actors.kernel.ask import AskTimeout
from trimon.config.otlp import OtlpConfig
from trimon.errors import OperatingError
from trimon.model.rows import Appended
from trimon.query.language.options import QueryOptions
from trimon.web.context import WebOptions

ENABLED = WebOptions(enable_otlp=True)
NOW = 1_700_000_000_000
PROTO = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


async def post(here: WebWorld, body: bytes, headers: dict[str, str]) -> Any:
    return await here.client.post("/api/v1/otlp/v1/metrics", data=body, headers=headers)


async def send(here: WebWorld, *metrics: dict[str, Any]) -> tuple[int, bytes]:
    answer = await post(here, encoded(request(metrics, resource={})), PROTO)
    return answer.status_code, answer.body


async def test_samples_are_stored(tmp_path: Path) -> None:
    """A request is answered with 200 and no body; its samples and metadata are there, whatever its form."""
    async with web_world(tmp_path, ENABLED) as here:
        for step, (headers, form) in enumerate(
            [
                (PROTO, encoded),
                (JSON, lambda message: json.dumps(message).encode()),
                ({**PROTO, "Content-Encoding": "gzip"}, lambda message: gzip.compress(encoded(message))),
            ]
        ):
            message = request(
                [sum_("c", point(NOW + step, step), unit="By", description="help")], resource={}
            )
            answer = await post(here, form(message), headers)
            assert (answer.status_code, answer.body) == (200, b"")
        assert here.world.samples("c_bytes_total") == [
            ({"__name__": "c_bytes_total"}, [(NOW, 0.0), (NOW + 1, 1.0), (NOW + 2, 2.0)])
        ]
        assert here.world.store.metadata["c_bytes_total"] == ("counter", "help", "bytes")


async def test_off_by_default(tmp_path: Path) -> None:
    """Without its flag the receiver answers 404 and says which flag it needs."""
    async with web_world(tmp_path) as here:
        status, body = await send(here, gauge("g", point(NOW, 1.0)))
        assert (status, body) == (
            404,
            b"otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n",
        )


async def test_the_configuration_of_the_moment_counts(tmp_path: Path) -> None:
    """A reload changes how the next request is translated."""
    configs = [OtlpConfig(), OtlpConfig(translation_strategy="NoTranslation")]
    async with web_world(tmp_path, ENABLED, {"otlp": lambda: configs[0]}) as here:
        await send(here, gauge("g.a", point(NOW, 1.0)))
        configs.pop(0)
        await send(here, gauge("g.a", point(NOW, 1.0)))
        assert here.world.samples("g_a")
        assert here.world.samples("g.a")


async def test_points_that_are_left_out_are_told(tmp_path: Path) -> None:
    """A partial success, in the form of the request: the number of data points, and why."""
    contradicting = [
        gauge("g", point(NOW, 1.0), point(NOW, 2.0), point(NOW - 1, 2.0)),
        histogram("h", buckets(NOW, [1, 2], [1.0]), buckets(NOW, [3, 2], [1.0])),
    ]
    async with web_world(tmp_path, ENABLED) as here:
        status, body = await send(here, *contradicting)
        told = ExportMetricsServiceResponse.FromString(body).partial_success
        assert (status, told.rejected_data_points) == (200, 3)
        assert "the first counts" in told.error_message
        assert here.world.samples("g") == [({"__name__": "g"}, [(NOW, 1.0)])]
        message = request([gauge("g2", point(NOW, 1.0), point(NOW, 2.0))], resource={})
        answer = await post(here, json.dumps(message).encode(), JSON)
        assert answer.headers["Content-Type"] == "application/json"
        partial = json.loads(answer.body)["partialSuccess"]
        assert partial == {"rejectedDataPoints": "1", "errorMessage": told.error_message}


async def test_a_bad_request_changes_nothing(tmp_path: Path) -> None:
    """One sample that what is stored refuses, or one metric that is none, and nothing of the request is stored."""
    async with web_world(tmp_path, ENABLED) as here:
        assert (await send(here, gauge("old", point(NOW, 1.0))))[0] == 200
        assert await send(here, gauge("new", point(NOW, 1.0)), gauge("old", point(NOW - 1, 1.0))) == (
            400,
            b"out of order sample\n",
        )
        status, body = await send(here, gauge("new", point(NOW, 1.0)), {"name": "x"})
        assert (status, body[:45]) == (500, b"could not get aggregation temporality for x a")
        assert here.world.samples("new") == []


@pytest.mark.parametrize("error", [OperatingError("disk full"), AskTimeout("slow")])
async def test_what_may_come_again_is_told_when(tmp_path: Path, error: Exception) -> None:
    """When storage cannot take a request now: 503 and Retry-After."""

    class Full:
        async def append(self, *_: Any) -> Any:
            raise error

    async with web_world(tmp_path, ENABLED, {"writer": Full()}) as here:
        answer = await post(here, encoded(request([gauge("g", point(NOW, 1.0))])), PROTO)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


async def test_a_request_before_the_log_is_replayed_may_come_again(tmp_path: Path) -> None:
    """503 and Retry-After, without a look at the body."""
    async with web_world(tmp_path, ENABLED, {"ready": lambda: False}) as here:
        answer = await post(here, b"\xff", PROTO)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


async def test_what_a_gzip_body_holds_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that says, or turns out, to hold more than the limit: 413."""
    monkeypatch.setattr(limits, "OTLP_DECODED_BYTES_MAX", 100_000)
    honest = gzip.compress(bytes(200_000))
    members = gzip.compress(bytes(99_000)) + gzip.compress(bytes(2_000))
    async with web_world(tmp_path, ENABLED) as here:
        for body in (honest, members):
            answer = await post(here, body, {**PROTO, "Content-Encoding": "gzip"})
            assert answer.status_code == 413
            assert b"exceeds the 100000 bytes limit" in answer.body


async def test_what_is_no_gzip_is_told_so(tmp_path: Path) -> None:
    """A body that only says that it is packed is 400, whatever its last bytes say of its size."""
    async with web_world(tmp_path, ENABLED) as here:
        for body, words in (
            (b"no gzip at all", b"gzip: invalid header\n"),
            (b"notgzip", b"unexpected EOF\n"),
            (b"\x1f\x8b\x08xxxxxxxxxx", b"gzip: invalid data\n"),
            (gzip.compress(bytes(1000), mtime=0)[:-3], b"unexpected EOF\n"),
            (gzip.compress(bytes(1000), mtime=0) + b"\xff\xff\xff\xff", b"unexpected EOF\n"),
        ):
            answer = await post(here, body, {**PROTO, "Content-Encoding": "gzip"})
            assert (answer.status_code, answer.body) == (400, words)


async def test_deltas_are_summed_once_they_are_stored(tmp_path: Path) -> None:
    """With the feature: a refused request may come again and counts once; old deltas are left out and told."""
    options = QueryOptions(features=frozenset({"otlp-deltatocumulative"}))

    def delta(at: int, value: int) -> dict[str, Any]:
        return sum_("d", point(at, value, at - 10), temporality=1)

    async with web_world(tmp_path, ENABLED, {"query_options": lambda: options}) as here:
        assert (await send(here, delta(NOW, 5), gauge("g", point(NOW, 1.0))))[0] == 200
        assert (await send(here, delta(NOW + 10, 7), gauge("g", point(NOW - 1, 1.0))))[0] == 400
        assert (await send(here, delta(NOW + 10, 7)))[0] == 200
        status, body = await send(here, delta(NOW + 10, 7))
        told = ExportMetricsServiceResponse.FromString(body).partial_success
        assert (status, told.rejected_data_points) == (200, 1)
        assert "not newer than the last" in told.error_message
        assert here.world.samples("d_total") == [({"__name__": "d_total"}, [(NOW, 5.0), (NOW + 10, 12.0)])]


async def test_starts_that_do_not_fit_fail_nothing(tmp_path: Path) -> None:
    """With the feature: a start older than what is stored is left out, and the sample is stored."""
    options = QueryOptions(features=frozenset({"created-timestamp-zero-ingestion"}))
    async with web_world(tmp_path, ENABLED, {"query_options": lambda: options}) as here:
        await send(here, gauge("c_total", point(NOW, 3.0)))
        assert (await send(here, sum_("c", point(NOW + 10, 4.0, NOW - 10))))[0] == 200
        assert (await send(here, sum_("c", point(NOW + 20, 1.0, NOW + 15))))[0] == 200
        assert here.world.samples("c_total") == [
            ({"__name__": "c_total"}, [(NOW, 3.0), (NOW + 10, 4.0), (NOW + 15, 0.0), (NOW + 20, 1.0)])
        ]


async def test_a_full_head_is_a_reason_to_come_again(tmp_path: Path) -> None:
    """Series beyond the limit: 503, as the next cut may make room."""

    class Refuses:
        async def append(self, *_: Any) -> Any:
            return (Appended(series_refused=1, error="series limit of 1 reached"),)

    async with web_world(tmp_path, ENABLED, {"writer": Refuses()}) as here:
        assert (await send(here, gauge("g", point(NOW, 1.0))))[0] == 503


async def test_requests_that_are_refused_are_told(tmp_path: Path) -> None:
    """The log says why a request was refused: exporters show their people the status alone."""
    async with web_world(tmp_path, ENABLED) as here:
        delta = sum_("c", point(NOW, 1.0), temporality=1)
        assert (await send(here, delta))[0] == 500
        assert (await post(here, b"", {**PROTO, "Content-Encoding": "deflate"})).status_code == 400
        told = [fields for _, what, fields in here.world.log.entries if what == "an OTLP request is refused"]
        assert [(each["status"], each["err"]) for each in told] == [
            (500, 'invalid temporality and type combination for metric "c"'),
            (400, 'unsupported compression: deflate. Only "gzip" or no compression supported'),
        ]
