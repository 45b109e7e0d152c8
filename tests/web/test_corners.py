"""Corners of the routes, each as Prometheus answers it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from tests.support.asgi import Call
from tests.support.web_world import web_world
from tests.web.http.test_pipeline import FORM, NOW_S, PROTO, filled, write_body
from tests.web.test_requests import API, asked
from trimon.actors.storage.actor import NotReady
from trimon.web.context import WebOptions

FULL = WebOptions(enable_admin_api=True, enable_remote_write=True)


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/version", f"{API}/query?query=1", f"{API}/labels", f"{API}/rules", f"{API}/status/flags"],
)
async def test_head_is_for_probes_alone(path: str, tmp_path: Path) -> None:
    """HEAD is 405 where only GET is offered, and does not look offered; health and readiness take it."""
    async with web_world(tmp_path) as here:
        status, headers, _ = await asked(here, "HEAD", path)
        assert status == 405
        assert b"HEAD" not in headers[b"allow"]
        assert b"GET" in headers[b"allow"]
        for probe in ("/-/healthy", "/-/ready"):
            assert (await asked(here, "HEAD", probe))[0] == 200
            status, headers, _ = await asked(here, "POST", probe)
            assert (status, headers[b"allow"]) == (405, b"GET, HEAD, OPTIONS")


async def test_head_of_probes_under_a_prefix(tmp_path: Path) -> None:
    """With a route prefix the probes are found under it."""
    async with web_world(tmp_path, WebOptions(route_prefix="/p")) as here:
        assert (await asked(here, "HEAD", "/p/-/healthy"))[0] == 200
        assert (await asked(here, "HEAD", "/p/metrics"))[0] == 405


@pytest.mark.parametrize(("name", "shown"), [(b"%ff", "\\xff"), (b"a%c3", "a\\xc3")])
async def test_a_label_name_that_is_no_utf8(name: bytes, shown: str, tmp_path: Path) -> None:
    """It is refused with its bytes, and the character that stands for such bytes is a name as any."""
    async with web_world(tmp_path) as here:
        call = Call("GET", f"{API}/label/\ufffd/values")
        for raw, expected in ((name, 400), (b"%EF%BF%BD", 200)):
            call.sent.clear()
            scope = {**call.scope, "raw_path": f"{API}/label/".encode() + raw + b"/values"}
            status, _, body = await _to(call, scope, here.client.app)
            assert status == expected
            assert (f'invalid label name: \\"{shown}\\"'.replace("\\x", "\\\\x").encode() in body) == (
                expected == 400
            )


async def _to(call: Call, scope: dict[str, Any], app: Any) -> tuple[int, Any, bytes]:
    async def with_scope(_: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return await call.to(with_scope)


async def test_steps_below_a_millisecond(tmp_path: Path) -> None:
    """They are refused with the reason; none and less are refused as ever."""
    async with web_world(tmp_path) as here:
        for step, reason in (
            ("0.0001", "0.0001 seconds are less than a millisecond, the finest resolution"),
            ("9e-4", "9e-4 seconds are less than a millisecond, the finest resolution"),
            ("0", "zero or negative query resolution step widths are not accepted. Try a positive integer"),
            (
                "-1e-4",
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ),
        ):
            status, _, body = await asked(here, "GET", f"{API}/query_range?query=1&start=0&end=1&step={step}")
            assert (status, body["error"]) == (400, f'invalid parameter "step": {reason}')


@pytest.mark.parametrize(
    ("times", "error"),
    [
        ("start=0&end=9&step=0.0001", "exceeded maximum resolution of 11,000 points per timeseries"),
        ("start=Inf&end=9&step=1", "exceeded maximum resolution of 11,000 points per timeseries"),
        ("start=1e300&end=9&step=1", "exceeded maximum resolution of 11,000 points per timeseries"),
        ("start=0&end=1e17&step=1", "exceeded maximum resolution of 11,000 points per timeseries"),
        ("start=0&end=Inf&step=1", 'invalid parameter "end": end timestamp must not be before start time'),
        ("start=0&end=1&step=NaN", 'invalid parameter "step": zero or negative query resolution step'),
        ("start=0&end=1&step=9223372036.854775808", 'invalid parameter "step": zero or negative query'),
        (
            "start=0&end=1&step=Inf",
            'invalid parameter "step": cannot parse "Inf" to a valid duration. It overflows int64',
        ),
        ("start=0&end=1&step=1e400", 'invalid parameter "step": cannot parse "1e400" to a valid duration'),
        ("start=0&end=1&step=%22%0a", r'invalid parameter "step": cannot parse "\"\n" to a valid duration'),
        ("start=0&end=16.5&step=0.0015", None),
        (
            "start=0&end=1&step=1&timeout=Inf",
            'invalid parameter "timeout": cannot parse "Inf" to a valid duration. It',
        ),
        ("start=0&end=1&step=1&timeout=NaN", 'invalid parameter "query": context deadline exceeded'),
        ("start=0&end=1&step=1&lookback_delta=NaN", None),
    ],
)
async def test_numbers_at_the_ends_of_a_range(times: str, error: str | None, tmp_path: Path) -> None:
    """Steps, spans and times that are no number or too large are what they are in Go's 64 bits."""
    async with web_world(tmp_path) as here:
        status, _, body = await asked(here, "GET", f"{API}/query_range?query=1&{times}")
        if error is None:
            assert status == 200, body
        else:
            assert (status, body["error"][: len(error)]) == (400, error)


async def test_deleting_in_no_time(tmp_path: Path) -> None:
    """An end before the start deletes nothing, and is no error."""
    async with web_world(tmp_path, FULL) as here:
        await filled(here)
        url = f"{API}/admin/tsdb/delete_series?match[]=m&start={NOW_S + 1}&end={NOW_S - 1}"
        assert (await asked(here, "POST", url, body=b""))[0] == 204
        assert sum(len(found) for _, found in here.world.samples("m")) == 20
        url = f"{API}/admin/tsdb/delete_series?match[]=m&start={NOW_S}&end={NOW_S}"
        assert (await asked(here, "POST", url, body=b""))[0] == 204
        assert not any(found for _, found in here.world.samples("m"))


async def test_a_put_has_a_form_as_a_post_has(tmp_path: Path) -> None:
    """Both methods of the admin routes read their parameters from the body too."""
    async with web_world(tmp_path, FULL) as here:
        await filled(here)
        url, form = f"{API}/admin/tsdb/delete_series", f"match[]=m&start={NOW_S}&end={NOW_S}".encode()
        assert (await asked(here, "PUT", url, headers=FORM, body=form))[0] == 204
        assert not any(found for _, found in here.world.samples("m"))


@pytest.mark.parametrize("number", ["%C2%B2", "9" * 5000, "-1", "0", "1_0", "9223372036854775808"])
async def test_numbers_that_are_none(number: str, tmp_path: Path) -> None:
    """Digits of other scripts, and more than fit into 64 bits, are refused by every route, never a 500."""
    async with web_world(tmp_path) as here:
        for target in ("status/tsdb?limit=", "rules?group_limit="):
            status, _, body = await asked(here, "GET", f"{API}/{target}{number}")
            assert (status, body["errorType"]) == (400, "bad_data"), target
        taken = number in {"-1", "0"}
        for target in ("metadata?limit=", "metadata?limit_per_metric=", "targets/metadata?limit="):
            status, _, body = await asked(here, "GET", f"{API}/{target}{number}")
            assert status == (200 if taken else 400), target
        status, _, body = await asked(here, "GET", f"{API}/status/tsdb?limit=")
        assert status == 200


@pytest.mark.parametrize("selector", ["", "{}", '{job=""}', '{job=~".*"}'])
async def test_a_match_target_may_match_everything(selector: str, tmp_path: Path) -> None:
    """Targets are few: their labels may be asked for with matchers that match nothing as well."""
    async with web_world(tmp_path) as here:
        target = f"{API}/targets/metadata?match_target={selector}"
        assert (await asked(here, "GET", target))[2]["data"] == []
        assert (await asked(here, "GET", target + "{"))[0] == 400
        assert (await asked(here, "GET", f"{API}/series?match[]={selector}"))[0] == 400


@pytest.mark.parametrize("path", ["/debug/actors", "/debug/crashes", "/metrics", "/-/ready", "/nope"])
async def test_other_pages_may_read_the_api_alone(path: str, tmp_path: Path) -> None:
    """A browser on this machine must not hand /debug, which is for this machine, to any page that asks."""
    async with web_world(tmp_path) as here:
        for method in ("GET", "OPTIONS"):
            call = Call(method, path, {"origin": "http://elsewhere"})
            _, headers, _ = await _to(call, {**call.scope, "client": ("127.0.0.1", 1)}, here.client.app)
            assert not [name for name, _ in headers if name.startswith(b"access-control-")]
        _, headers, _ = await asked(here, "GET", f"{API}/labels", headers={"origin": "http://elsewhere"})
        assert headers[b"access-control-allow-origin"] == b"http://elsewhere"


async def test_metadata_is_in_order(tmp_path: Path) -> None:
    """Names come sorted however targets expose them, and a limit keeps the first; fields come as in Prometheus."""
    families = {name: SimpleNamespace(type="gauge", help="", unit="") for name in ("z", "a", "m")}
    session = SimpleNamespace(target=SimpleNamespace(labels=()), families=families)
    jobs = {"job": SimpleNamespace(sessions={1: session})}
    async with web_world(tmp_path, changes={"scrape_pools": lambda: jobs}) as here:
        for limit, names in (("", ["a", "m", "z"]), ("?limit=2", ["a", "m"])):
            data = (await asked(here, "GET", f"{API}/metadata{limit}"))[2]["data"]
            assert list(data) == names
            assert list(data["a"][0]) == ["type", "unit", "help"]
        (first, *_) = (await asked(here, "GET", f"{API}/targets/metadata"))[2]["data"]
        assert list(first) == ["target", "metric", "type", "help", "unit"]


async def test_what_a_starting_server_says(tmp_path: Path) -> None:
    """While the log is replayed refusals are 503 and say that the server is not stopping."""

    def snapshot() -> Any:
        raise NotReady("the log is replayed")

    changes = {"ready": lambda: False, "snapshot": snapshot}
    async with web_world(tmp_path, FULL, changes) as here:
        for method, path in (
            ("GET", "/-/ready"),
            ("GET", f"{API}/status/tsdb"),
            ("POST", f"{API}/admin/tsdb/snapshot"),
        ):
            status, headers, _ = await asked(here, method, path)
            assert (status, headers[b"x-prometheus-stopping"]) == (503, b"false")
        sample = write_body("m", (NOW_S * 1000, 1.0))
        status, headers, _ = await asked(here, "POST", f"{API}/write", headers=PROTO, body=sample)
        assert (status, headers[b"x-prometheus-stopping"], headers[b"retry-after"]) == (503, b"false", b"5")
        assert not here.world.samples("m")
        assert (await asked(here, "GET", "/-/healthy"))[0] == 200
        assert b"x-prometheus-stopping" not in (await asked(here, "GET", "/metrics"))[1]


async def test_front_and_framework_refuse_a_write_alike(tmp_path: Path) -> None:
    """HEAD of the write route is 405 from both, whichever takes it."""
    async with web_world(tmp_path, FULL) as here:
        call = ("HEAD", f"{API}/write", PROTO, write_body("m", (NOW_S, 1.0)))
        assert (await Call(*call).to(here.client.app))[0] == 405


@pytest.mark.parametrize("prefix", ["", "/p/q"])
async def test_requests_are_counted_under_prometheus_names(prefix: str, tmp_path: Path) -> None:
    """Handlers are named as dashboards ask for them: no prefix, and parameters after a colon."""
    async with web_world(tmp_path, WebOptions(route_prefix=prefix)) as here:
        for path, handler in (
            (f"{API}/query?query=1", f"{API}/query"),
            (f"{API}/query?query=1&x=\u00e9", f"{API}/query"),
            (f"{API}/label/job/values", f"{API}/label/:name/values"),
            ("/-/ready", "/-/ready"),
            ("/nothing", "not found"),
        ):
            status, _, _ = await asked(here, "GET", prefix + path)
            labels = {"handler": handler, "code": str(status)}
            assert here.metrics.value("prometheus_http_requests_total", labels), path
            assert here.metrics.value("prometheus_http_response_size_bytes_sum", {"handler": handler}), path


async def test_a_limit_of_targets_metadata_is_looked_at_between_targets(tmp_path: Path) -> None:
    """The target that reaches the limit is shown with all of its families; a limit of 0 shows none."""
    families = {name: SimpleNamespace(type="gauge", help="", unit="") for name in ("a", "b")}
    sessions = {
        number: SimpleNamespace(target=SimpleNamespace(labels=(("n", str(number)),)), families=families)
        for number in range(3)
    }
    jobs = {"job": SimpleNamespace(sessions=sessions)}
    async with web_world(tmp_path, changes={"scrape_pools": lambda: jobs}) as here:
        for most, shown in ((0, 0), (1, 2), (2, 2), (3, 4), (-1, 6)):
            target = f"{API}/targets/metadata?limit={most}"
            assert len((await asked(here, "GET", target))[2]["data"]) == shown


async def test_dropped_counts_are_those_of_all_pools(tmp_path: Path) -> None:
    """A filter by scrape pool leaves the counts of dropped targets alone, as in Prometheus."""
    jobs = {
        name: SimpleNamespace(sessions={}, targets={}, dropped=[], dropped_count=count)
        for name, count in (("a", 1), ("b", 2))
    }
    async with web_world(tmp_path, changes={"scrape_pools": lambda: jobs}) as here:
        for pool in ("a", "nope"):
            data = (await asked(here, "GET", f"{API}/targets?scrapePool={pool}"))[2]["data"]
            assert data["droppedTargetCounts"] == {"a": 1, "b": 2}


async def test_all_who_ask_at_once_get_one_exposition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own metrics are made once for those who ask together, and anew for the next."""
    async with web_world(tmp_path) as here:
        made = 0
        expose = here.metrics.expose

        def counted() -> bytes:
            nonlocal made
            made += 1
            return expose()

        monkeypatch.setattr(here.metrics, "expose", counted)
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(here.client.get, "/metrics")
        assert 1 <= made <= 5
        before = made
        assert (await here.client.get("/metrics")).status_code == 200
        assert made == before + 1
