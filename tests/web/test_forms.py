"""Parameters by the megabyte: how many and how long they may be, and where they are read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from tests.support.asgi import Call
from tests.support.web_world import web_world
from tests.web.http.test_pipeline import FORM, by_framework
from tests.web.test_requests import asked
from trimon import limits
from trimon.offload import InlineOffload
from trimon.web.http import parameters
from trimon.web.http.answer import ApiError
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
        try:
            wanted = parse_qsl(text.decode(), keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:
            with pytest.raises(ApiError):
                parameters.decoded(text, b"")
            return
        assert list(parameters.decoded(text, b"").items(multi=True)) == list(
            MultiDict(wanted).items(multi=True)
        )


async def test_a_body_of_another_kind_is_no_form(tmp_path: Path) -> None:
    """What only resembles the type of a form has no parameters, as in Go."""
    async with web_world(tmp_path) as here:
        headers = {"content-type": "application/x-url-encoded"}
        for way in (nullcontext, by_framework):
            with way():
                call = Call("POST", f"{QUERY}?query=1&time=1", headers, b"query=2")
                assert b'"1"' in (await call.to(here.client.app))[2]
