"""Long texts that are nothing in the end are read in no more time than their length takes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from trimon.config.yaml.tree import Document
from trimon.errors import TrimonError
from trimon.fetch.http1 import ResponseReader
from trimon.gotext.floats import parse_float
from trimon.gotext.numbers import parse_go_float
from trimon.redaction import shown_url
from trimon.scrape.exposition.negotiation import media_type_of
from trimon.web.http.parameters import number_of

LONG = 60_000


@pytest.mark.parametrize(
    "text", ["1" * LONG + "x", "." + "1" * LONG + "x", "1." + "1" * LONG + "x", "1e" + "1" * LONG + "x"]
)
@pytest.mark.parametrize(
    "read", [parse_float, parse_go_float, number_of, lambda text: Document(f"a: {text}\n", "f")]
)
def test_digits_without_end(read: Callable[[str], object], text: str) -> None:
    """Tens of thousands of digits and a letter are no number, and that is known at once."""
    began_s = time.process_time()
    with contextlib.suppress(TrimonError):
        read(text)
    assert time.process_time() - began_s < 0.5


def test_headers_and_urls_without_end() -> None:
    """A header of blanks, a content type of parameters, a URL of question marks: none takes longer than its length."""
    began_s = time.process_time()
    for head in (b"X:" + b" " * LONG + b"\0", b"X" * LONG + b"\0", b"X:" + b" x" * LONG + b"\0"):
        with pytest.raises(TrimonError):
            ResponseReader().feed(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
    with pytest.raises(TrimonError):
        media_type_of("text/plain" + ";a=b" * LONG)
    shown_url("http://h/" + "?" * LONG + "=")
    shown_url("@" + "//" * LONG + ":")
    shown_url("@" + "//a:" * LONG)
    assert time.process_time() - began_s < 0.5
