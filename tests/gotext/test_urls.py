"""URLs as Go's library sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.gotext.urls import scheme_and_host, url_fault

FAULTS = {
    "": "",
    "http://a/b?c#d": "",
    "a/b:c": "",
    "mailto:x": "",
    "http://u:p@h:1/": "",
    "http://[::1]:80/": "",
    "///a:b": "",
    "http://a b": 'invalid character " " in host name',
    "http://[::1": "missing ']' in host",
    "127.0.0.1:1/w": "first path segment in URL cannot contain colon",
    ":::": "missing protocol scheme",
    "://x": "missing protocol scheme",
    "http://h:x/": 'invalid port ":x" after host',
    "http://[::1]x/": 'invalid port "x" after host',
    "http://h/%zz": 'invalid URL escape "%zz"',
    "http://h/\x7f": "net/url: invalid control character in URL",
    "http://u ser@h/": "net/url: invalid userinfo",
}


@pytest.mark.parametrize("url", FAULTS)
def test_what_is_wrong_with_a_url(url: str) -> None:
    """The words of Go's parser, after the URL that it repeats."""
    assert url_fault(url) == FAULTS[url]


@given(st.text())
def test_every_text_is_judged(text: str) -> None:
    """No text is a bug."""
    assert isinstance(url_fault(text), str)
    assert len(scheme_and_host(text)) == 2


def test_scheme_and_host() -> None:
    """The host has its port and no user; what has no authority has no host."""
    assert scheme_and_host("HTTP://u:p@h:1/x?y") == ("http", "h:1")
    assert scheme_and_host("http:///x") == ("http", "")
    assert scheme_and_host("mailto:x") == ("mailto", "")
    assert scheme_and_host("x/y") == ("", "")
