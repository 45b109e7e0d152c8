"""What requests say, ordinary or odd: parameters, methods and headers as Prometheus takes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
import pytest

from tests.support.asgi import Call
from tests.support.web_world import web_world
from tests.web.http.test_pipeline import ENABLED, FORM, NOW_S, by_framework, filled
from trimon.web.context import WebOptions

API = "/api/v1"


async def asked(here: Any, method: str, target: str, **more: Any) -> tuple[int, dict[bytes, bytes], Any]:
    """Status, headers and body of an answer, the body read where it is JSON."""
    status, headers, body = await Call(method, target, **more).to(here.client.app)
    read = orjson.loads(body) if body[:1] == b"{" else body
    return status, dict(headers), read


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5", 5),
        ("%2B5", 5),
        ("5.", 5),
        (".5", 0.5),
        ("1e3", 1000),
        ("0.0005", 0.001),
        ("-0.0005", -0.001),
        ("0.0025", 0.003),
        ("1435781451.7815", 1435781451.782),
        ("1435781451.2345678901234567890", 1435781451.235),
        ("2015-07-01T20:10:51,5Z", 1435781451.5),
        ("2015-07-01T20:10:51.123456789-07:00", 1435806651.123),
        ("9223309901257974", 9007199254740991.999),
        ("1795693255000", 1795693255000),
        ("1e17", 9007199254740991.999),
        ("1_0", 10),
        ("0x1p4", 16),
        ("Inf", -9223372036.854),
        ("-infinity", -9223372036.854),
        ("NaN", -9223372036.854),
        ("9223372036854775807", 0),
        ("-1e300", 0),
    ],
)
async def test_times(text: str, shown: float, tmp_path: Path) -> None:
    """Seconds are rounded half away from zero, fractions of RFC 3339 are cut, and extreme times are taken."""
    async with web_world(tmp_path) as here:
        status, _, body = await asked(here, "GET", f"{API}/query?query='a'&time={text}")
        assert (status, body["data"]["result"][0]) == (200, shown)


@pytest.mark.parametrize(
    "text",
    ["%205", "5%20", "1__0", "%D9%A3", "0x1", "_1", "nano", "1e400", "2015-07-01t20:10:51z", "5%00"],
)
async def test_what_is_no_time(text: str, tmp_path: Path) -> None:
    """Blanks, digits of other scripts, separators out of place and what is out of range make no number."""
    async with web_world(tmp_path) as here:
        for target in (f"query?query=1&time={text}", f"query_range?query=1&start={text}&end=1e16&step=1e15"):
            status, _, body = await asked(here, "GET", f"{API}/{target}")
            assert (status, body["errorType"]) == (400, "bad_data")
            assert body["error"].endswith("to a valid timestamp")


@pytest.mark.parametrize(
    ("step", "steps"),
    [
        ("1.001", 11),
        ("0.29", 35),
        ("500ms", 21),
        ("1m", 1),
        ("%201", 0),
        ("1_0", 2),
        ("1__0", 0),
        ("1e400", 0),
    ],
)
async def test_steps(step: str, steps: int, tmp_path: Path) -> None:
    """Steps are cut to milliseconds after nanoseconds; 0 stands for a step that is refused."""
    async with web_world(tmp_path) as here:
        status, _, body = await asked(here, "GET", f"{API}/query_range?query=1&start=0&end=10&step={step}")
        if steps:
            assert len(body["data"]["result"][0]["values"]) == steps
        else:
            assert (status, body["error"].endswith("to a valid duration")) == (400, True)


@pytest.mark.parametrize("lookback", ["0", "-1", "0s", "0.0001"])
async def test_a_lookback_of_nothing_is_the_servers(lookback: str, tmp_path: Path) -> None:
    """A lookback delta that is not positive counts as none given."""
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        target = f"{API}/query?query=m&time={NOW_S + 100}&lookback_delta="
        for text, series in ((lookback, 20), ("50", 0)):
            _, _, body = await asked(here, "GET", target + text)
            assert len(body["data"]["result"]) == series


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("%201", "invalid syntax"),
        ("1_0", "invalid syntax"),
        ("%D9%A3", "invalid syntax"),
        ("9223372036854775808", "value out of range"),
        ("1" * 5000, "value out of range"),
        ("-1", "must be non-negative"),
    ],
)
async def test_limits_that_are_none(text: str, error: str, tmp_path: Path) -> None:
    """A limit is a plain integer of 64 bits."""
    async with web_world(tmp_path) as here:
        for route in ("query?query=m&", "labels?", "series?match[]=m&", "label/a/values?"):
            status, _, body = await asked(here, "GET", f"{API}/{route}limit={text}")
            assert (status, body["error"].endswith(error)) == (400, True)


# ruff: noqa: E501 # one case a line
REFUSED = {
    "series?match[]={}": 'invalid parameter "match[]": match[] must contain at least one non-empty matcher',
    "series?match[]=m{": 'invalid parameter "match[]": 1:3: parse error: unexpected end of input inside braces',
    "labels?match[]={}": "match[] must contain at least one non-empty matcher",
    "labels?match[]=m{": "1:3: parse error: unexpected end of input inside braces",
    "label/a/values?match[]=m{": "1:3: parse error: unexpected end of input inside braces",
    "metadata?limit=x": "limit must be a number",
    "query?query=1&timeout=0": 'invalid parameter "query": context deadline exceeded',
    "query?query=1&timeout=0s": 'invalid parameter "query": context deadline exceeded',
    "query?query=m&timeout=1e-9": 'invalid parameter "query": context deadline exceeded',
    "query?query=m&timeout=-1": 'invalid parameter "query": context deadline exceeded',
    "query?query=(&timeout=0": 'invalid parameter "query": 1:2: parse error: unclosed left parenthesis',
    "query_range?query=rate(m)&start=0&end=1&step=1&timeout=-1": 'invalid parameter "query": 1:6: parse error: expected type range vector in call to function "rate", got instant vector',
    "query?limit=x&time=y": 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax',
    "query?limit=-1&timeout=x": 'invalid parameter "limit": limit must be non-negative',
    "query_range?limit=x": 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax',
    "query_range?start=0&end=20000&step=1&limit=x": 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax',
    "labels?limit=x&start=y&match[]={": 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax',
    "label/a/values?limit=-1&end=y": 'invalid parameter "limit": limit must be non-negative',
    "series?match[]={&limit=x&start=y": 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax',
    "series?limit=x": "no match[] parameter provided",
    "series?match[]={}&match[]={": 'invalid parameter "match[]": 1:2: parse error: unexpected end of input inside braces',
    "labels?match[]={}&match[]={": "1:2: parse error: unexpected end of input inside braces",
    "label/a/values?match[]={}&match[]={": "1:2: parse error: unexpected end of input inside braces",
    "labels?match[]=m&match[]={}": "match[] must contain at least one non-empty matcher",
    "query_range?query=1&start=0&end=1&step=1&timeout=-1s": 'invalid parameter "timeout": cannot parse "-1s" to a valid duration',
    "metadata?limit_per_metric=1_0": "limit_per_metric must be a number",
    "targets/metadata?limit=x": "limit must be a number",
    "targets/metadata?match_target={": 'invalid parameter "match_target": 1:2: parse error: unexpected end of input inside braces',
    "label/U__/values": 'invalid label name: ""',
    "query_exemplars?query=m&start=5&end=4": "end timestamp must not be before start timestamp",
    "query_exemplars?query=m&start=x": 'invalid parameter "start": invalid time value for \'start\': cannot parse "x" to a valid timestamp',
}  # fmt: skip


@pytest.mark.parametrize("target", REFUSED, ids=str)
async def test_what_refusals_say(target: str, tmp_path: Path) -> None:
    """Errors read as Prometheus', some with the parameter's name and some without."""
    async with web_world(tmp_path) as here:
        status, _, body = await asked(here, "GET", f"{API}/{target}")
        assert (status, body) == (400, {"status": "error", "errorType": "bad_data", "error": REFUSED[target]})


@pytest.mark.parametrize("text", ["0", "0s", "-1", "1e-9"])
async def test_time_that_is_over_at_once(text: str, tmp_path: Path) -> None:
    """Queries without any time are refused by GET and POST; requests that take no timeout do not look at it."""
    async with web_world(tmp_path) as here:
        form = {"content-type": "application/x-www-form-urlencoded"}
        for route in ("query", "query_range"):
            body = f"query=m&start=0&end=1&step=1&timeout={text}".encode()
            status, _, answer = await asked(here, "POST", f"{API}/{route}", headers=form, body=body)
            refused = 'invalid parameter "query": context deadline exceeded'
            assert (status, answer["errorType"], answer["error"]) == (400, "bad_data", refused)
        for route in ("labels", "series?match[]=m", "label/a/values", "format_query?query=m", "metadata"):
            mark = "&" if "?" in route else "?"
            assert (await asked(here, "GET", f"{API}/{route}{mark}timeout={text}"))[0] == 200


@pytest.mark.parametrize("query", ["1", "m", "sum(rate(m[5m]))"])
async def test_time_of_less_than_a_millisecond(query: str, tmp_path: Path) -> None:
    """A timeout below a millisecond is some time: the query is answered or times out, and is not refused."""
    async with web_world(tmp_path) as here:
        for text in ("0.0009", "1e-4"):
            status, _, body = await asked(here, "GET", f"{API}/query?query={query}&timeout={text}")
            assert status == 200 or (status, body["errorType"]) == (503, "timeout"), body


@pytest.mark.parametrize(
    ("target", "data"),
    [
        ("series?match[]=m&start=5&end=4", []),
        ("series?match[]=m&start=9e15", []),
        ("labels?start=5&end=4", []),
        ("label/number/values?end=-9e15", []),
        ("label/U___ffffff_/values", []),
        ("label/U___d800_/values", []),
        ("label/U__n_75_mber/values?limit=1", ["n0"]),
        ("metadata?limit=0", {}),
        ("targets/metadata?match_target={}", []),
        ("query_exemplars?query=m", []),
        ("targets?state=other", {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": None}),
    ],
)
async def test_what_lookups_find(target: str, data: Any, tmp_path: Path) -> None:
    """Intervals that hold nothing, escapes of no character and states of no target find nothing, without an error."""
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        status, _, body = await asked(here, "GET", f"{API}/{target}")
        assert (status, body["data"]) == (200, data)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (b"%FF", "1:1: parse error: unexpected character: '\ufffd'"),
        (b"1 %F0%9F", "1:3: parse error: unexpected character: '\ufffd'"),
        (b"'%FF'", "1:1: parse error: invalid UTF-8 rune"),
        (b'foo "a%FFb', "1:5: parse error: invalid UTF-8 rune"),
        (b"`%FF`", "1:1: parse error: invalid UTF-8 rune"),
        (b"'%EF%BF%BD'", "1:1: parse error: invalid UTF-8 rune"),
        (b"foo{a='%C3%28'}", "1:7: parse error: invalid UTF-8 rune"),
        (b'"a%0Ab%FF', "1:1: parse error: unterminated quoted string"),
        (b"foo{a='x'} !", "1:12: parse error: unexpected character after '!': '\ufffd'"),
        (b"foo{!", "1:5: parse error: unexpected character after '!' inside braces: '\ufffd'"),
    ],
)
async def test_what_is_no_utf8(query: bytes, error: str, tmp_path: Path) -> None:
    """Bytes that are no UTF-8 make no expression, escaped or not, in a form or a URL, by the front and the framework."""
    query = query.replace(b" ", b"%20")
    async with web_world(tmp_path) as here:
        ways: tuple[Callable[[], AbstractContextManager[None]], ...] = (nullcontext, by_framework)
        for way, form in itertools.product(ways, (query, unquote_to_bytes(query))):
            with way():
                sent = Call("POST", f"{API}/query", FORM, b"query=" + form)
                status, _, body = await sent.to(here.client.app)
                assert (status, orjson.loads(body)["error"]) == (400, f'invalid parameter "query": {error}')
        status, _, answer = await asked(here, "GET", f"{API}/query?query=1%20%23%FF&x=%FF")
        assert status == 200, answer


@pytest.mark.parametrize("route", ["/-/reload", "/-/quit"])
async def test_only_posts_act(route: str, tmp_path: Path) -> None:
    """A GET or HEAD neither reloads nor stops the server; a POST or PUT does."""
    acted = []

    async def reload() -> None:
        acted.append("/-/reload")

    def quit_() -> bool:
        acted.append("/-/quit")
        return True

    options = WebOptions(enable_lifecycle=True)
    async with web_world(tmp_path, options, {"reload": reload, "quit": quit_}) as here:
        for method in ("GET", "HEAD"):
            assert (await asked(here, method, route))[0] == 405
        assert acted == []
        for method in ("POST", "PUT"):
            assert (await asked(here, method, route, body=b""))[0] == 200
        assert acted == [route] * 2


async def test_what_is_no_boolean(tmp_path: Path) -> None:
    """A flag that is neither true nor false is refused with Go's reason."""
    async with web_world(tmp_path, WebOptions(enable_admin_api=True)) as here:
        _, _, body = await asked(here, "POST", f"{API}/admin/tsdb/snapshot?skip_head=x", body=b"")
        reason = 'unable to parse boolean: strconv.ParseBool: parsing "x": invalid syntax'
        assert body["error"] == f'invalid parameter "skip_head": {reason}'


async def test_options_and_methods_that_are_not_allowed(tmp_path: Path) -> None:
    """OPTIONS of the API has no content, on every path; a method that a route lacks gets those that it has."""
    async with web_world(tmp_path) as here:
        for path in ("query", "labels", "status/buildinfo", "nope"):
            status, headers, body = await asked(
                here, "OPTIONS", f"{API}/{path}", headers={"origin": "http://a"}
            )
            assert (status, body, headers[b"access-control-allow-origin"]) == (204, b"", b"http://a")
            assert headers[b"access-control-allow-methods"] == b"GET, POST, OPTIONS"
        status, headers, body = await asked(here, "DELETE", f"{API}/query")
        assert (status, body) == (405, b"Method Not Allowed\n")
        assert headers[b"allow"] == b"GET, OPTIONS, POST"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip;q=0", b""),
        ("gzip; q=0.0, deflate", b"deflate"),
        ("gzip;q=0.5", b"gzip"),
        ("gzip;q=0.05", b"gzip"),
    ],
)
async def test_a_compression_of_weight_nought_is_not_used(
    accepted: str, encoding: bytes, tmp_path: Path
) -> None:
    """What a client says that it does not take it does not get."""
    async with web_world(tmp_path, ENABLED) as here:
        await filled(here)
        target = f"{API}/query?query=m&time={NOW_S}"
        _, headers, _ = await asked(here, "GET", target, headers={"accept-encoding": accepted})
        assert headers.get(b"content-encoding", b"") == encoding
