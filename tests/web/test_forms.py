"""Parameters by the megabyte: how many and how long they may be, and where they are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.asgi import Call
from tests.support.web_world import web_world
from tests.web.http.test_pipeline import FORM, by_framework
from tests.web.test_requests import asked
from trimon import limits
from trimon.offload import InlineOffload
from trimon.web.context import WebOptions
from trimon.web.http import parameters
from trimon.web.http.answer import ApiError
from trimon.web.http.multidict import MultiDict
from trimon.web.http.request import INLINE_BYTES_MAX, read_parameters

T = TypeVar("T")
QUERY = "/api/v1/query"


class CountingOffload(InlineOffload):
    """Notes how often something was handed to it."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, work: Callable[[], T], on_cancel: Callable[[], None] | None = None) -> T:
        self.runs += 1
        return await super().run(work, on_cancel)


@pytest.mark.parametrize("way", [nullcontext, by_framework])
async def test_too_many_parameters_are_bad_data(
    way: Callable[..., nullcontext[None]], tmp_path: Path
) -> None:
    """As many as the limit are read, one more is refused with both numbers, in a form and in a URL."""
    most = limits.REQUEST_PARAMETERS_MAX
    wrong = f"{most + 1} parameters exceed the limit of {most}"
    async with web_world(tmp_path) as here:
        with way():
            for extra, status in ((most - 1, 200), (most, 400)):
                text = "query=1" + "&a" * extra
                for method, target, body in (
                    ("POST", QUERY, text.encode()),
                    ("GET", f"{QUERY}?{text}", None),
                ):
                    headers = FORM if body else {}
                    code, _, answer = await asked(here, method, target, headers=headers, body=body)
                    assert (code, answer.get("error")) == (status, wrong if status == 400 else None)


async def test_a_form_that_is_too_long_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A form that says it is longer than the limit is bad data; nothing of it is asked for."""
    most = limits.REQUEST_FORM_BYTES_MAX
    headers = {**FORM, "content-length": str(most + 1)}
    async with web_world(tmp_path) as here:
        for method, target in (("POST", QUERY), ("PUT", "/api/v1/admin/tsdb/delete_series")):
            code, _, answer = await asked(here, method, target, headers=headers)
            assert (code, answer["errorType"]) == (400, "bad_data")
            assert answer["error"] == f"form of {most + 1} bytes exceeds the limit of {most} bytes"


async def test_a_form_of_unknown_length_has_the_same_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunked form is refused once it is longer than the limit."""
    monkeypatch.setattr(limits, "REQUEST_FORM_BYTES_MAX", 10)
    async with web_world(tmp_path) as here:
        headers = {**FORM, "transfer-encoding": "chunked"}
        code, _, answer = await asked(here, "POST", QUERY, headers=headers, body=b"query=12345")
        assert (code, answer["error"]) == (400, "form of 11 bytes exceeds the limit of 10 bytes")
        code, _, _ = await asked(here, "POST", QUERY, headers=headers, body=b"query=1")
        assert code == 200


async def test_long_parameters_are_read_off_the_loop() -> None:
    """What is longer than some kilobytes is read in a thread, what is short at once; both give the same."""
    offload = CountingOffload()
    assert (await read_parameters(b"a=1", b"a=2", offload)).getlist("a") == ["1", "2"]
    assert offload.runs == 0
    long = b"b=" + b"%41" * INLINE_BYTES_MAX
    found = await read_parameters(b"a=1", long, offload)
    assert (offload.runs, found["a"], found["b"]) == (1, "1", "A" * INLINE_BYTES_MAX)


@settings(deadline=None)  # the machine may be busy
@given(st.text("ab%4=+&/\u00e4 ", max_size=60).map(str.encode), st.integers(3, 9))
def test_parameters_are_those_of_the_library(text: bytes, piece_bytes: int) -> None:
    """Names, values and escapes, whole or not, read as urllib reads them, also in pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parameters, "_PIECE_BYTES", piece_bytes)
        good = [pair for pair in text.split(b"&") if not re.search(rb"%(?![0-9a-fA-F]{2})", pair)]
        wanted = MultiDict(
            parse_qsl(b"&".join(good).decode(), keep_blank_values=True, errors="surrogateescape")
        )
        found = parameters.decoded(text, b"")
        assert list(found.items(multi=True)) == [
            (re.sub("[\udc80-\udcff]", "\ufffd", name), re.sub("[\udc80-\udcff]", "\ufffd", value))
            for name, value in wanted.items(multi=True)
        ]
        if len(good) == text.count(b"&") + 1:
            assert parameters.decoded(text, b"", strict=True) == found
        else:
            with pytest.raises(ApiError, match="error parsing form values: invalid URL escape"):
                parameters.decoded(text, b"", strict=True)


@pytest.mark.parametrize(
    ("form", "query", "kept", "fault"),
    [
        (b"", b"a=1&b=%zz&c=2", "a c", 'invalid URL escape "%zz"'),
        (b"", b"a=1%", "", 'invalid URL escape "%"'),
        (b"", b"a%z=1", "", 'invalid URL escape "%z"'),
        (b"", b"a=%4&b=%%41", "", 'invalid URL escape "%4"'),
        (b"", b"a=%\xff1", "", r'invalid URL escape "%\xff1"'),
        (b"", b"a=1;b=2&c=3", "c", "invalid semicolon separator in query"),
        (b"", b"a=%zz&b;=3", "", "invalid semicolon separator in query"),
        (b"", b"a;=3&b=%zz", "", "invalid semicolon separator in query"),
        (b"a=%yy", b"b;", "", 'invalid URL escape "%yy"'),
        (b"a=1", b"b=%3b", "a b", ""),
    ],
)
def test_bad_pairs_are_left_out(form: bytes, query: bytes, kept: str, fault: str) -> None:
    """A pair with a bad escape or a semicolon is none; who is strict hears of it in the words of Go, the form first."""
    assert list(parameters.decoded(form, query)) == kept.split()
    if fault:
        with pytest.raises(ApiError) as raised:
            parameters.decoded(form, query, strict=True)
        assert raised.value.message == f"error parsing form values: {fault}"
    else:
        assert list(parameters.decoded(form, query, strict=True)) == kept.split()


@pytest.mark.parametrize("way", [nullcontext, by_framework])
async def test_who_hears_of_bad_pairs(way: Callable[..., nullcontext[None]], tmp_path: Path) -> None:
    """Series, rules and deletions answer 400 to a bad pair; queries and lists of labels do without it."""
    wrong = 'error parsing form values: invalid URL escape "%zz"'
    async with web_world(tmp_path, WebOptions(enable_admin_api=True)) as here:
        with way():
            for method, target, body, status, message in (
                ("GET", "series?match[]=up&y=%zz", None, 400, wrong),
                ("POST", "series", b"match[]=up&y=%zz", 400, wrong),
                ("GET", "rules?type=%zz", None, 400, wrong),
                ("POST", "admin/tsdb/delete_series?match[]=up&y=%zz", b"", 400, wrong),
                ("GET", "labels?match[]=%zz", None, 200, None),
                ("GET", "label/job/values?match[]=a;b", None, 200, None),
                ("GET", "query?query=1&time=%zz", None, 200, None),
                (
                    "POST",
                    "query",
                    b"query=1%zz&time=1",
                    400,
                    'invalid parameter "query": unknown position: parse error: no expression found in input',
                ),
            ):
                headers = FORM if body else {}
                code, _, answer = await asked(here, method, f"/api/v1/{target}", headers=headers, body=body)
                assert (code, answer.get("error")) == (status, message)


async def test_a_body_of_another_kind_is_no_form(tmp_path: Path) -> None:
    """What only resembles the type of a form has no parameters, as in Go."""
    async with web_world(tmp_path) as here:
        headers = {"content-type": "application/x-url-encoded"}
        for way in (nullcontext, by_framework):
            with way():
                call = Call("POST", f"{QUERY}?query=1&time=1", headers, b"query=2")
                assert b'"1"' in (await call.to(here.client.app))[2]
