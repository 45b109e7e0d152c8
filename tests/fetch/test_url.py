"""Hosts of URLs as Go has them: what may be escaped, what is looked up, what `Host` says."""

from __future__ import annotations

import pytest

from trimon.fetch.dialing import PeerAddress
from trimon.fetch.request import FetchError
from trimon.fetch.url import dialled_host, host_header, split_url


@pytest.mark.parametrize(
    ("url", "dialled", "header"),
    [
        ("http://h:1/m", "h", "h:1"),
        ("http://u:p@h/m", "h", "h"),
        ("http://h%C3%A9:1/m", "xn--h-bga", "xn--h-bga:1"),
        ("http://H%C3%89.example/", "xn--h-bga.example", "xn--h-bga.example"),
        ("http://[fe80::1%25eth0]:9100/m", "fe80::1%eth0", "[fe80::1]:9100"),
        ("http://[2001:db8::1]/m", "2001:db8::1", "[2001:db8::1]"),
        ("http://h%2541:1/m", "h%41", "h%41:1"),
        ("http://<nil>:80/m", "<nil>", "<nil>:80"),
    ],
)
def test_hosts_are_unescaped(url: str, dialled: str, header: str) -> None:
    """A zone stays on this machine; what is not ASCII goes out as the DNS has it."""
    parts = split_url(url)
    assert (dialled_host(parts), host_header(parts)) == (dialled, header)
    assert PeerAddress.of(parts).host == dialled


@pytest.mark.parametrize(
    ("url", "escape"),
    [
        ("http://a%20b:1/m", "%20"),
        ("http://u:p%40h:1/m", "%40"),
        ("http://%7Bx%7D:1/", "%7B"),
        ("http://h%zz/", "%zz"),
        ("http://h%/", "%"),
        ("http://h%C3%A9%5E/", "%5E"),
    ],
)
def test_escapes_of_ascii_are_refused(url: str, escape: str) -> None:
    """As in Go: an escaped host is one of another alphabet, or it has a percent sign."""
    with pytest.raises(FetchError, match=f'invalid URL escape "{escape}"'):
        split_url(url)
