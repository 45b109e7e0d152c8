"""The resolver: resolv.conf, the names that a name stands for, answers of any bytes."""

from __future__ import annotations

from contextlib import suppress

import dns.exception
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.peers.resolver import ResolvConf, read_answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ResolvConf()),
        ("nameserver 1.1.1.1\nnameserver ::1 x\n# nameserver 2.2.2.2\n", ResolvConf(("1.1.1.1", "::1"))),
        ("domain a.example\nsearch b.example c.example.\n", ResolvConf((), ("b.example", "c.example."))),
        ("search b.example\ndomain a.example", ResolvConf((), ("a.example",))),
        ("options timeout:3 ndots:5 edns0", ResolvConf(ndots=5)),
        ("options ndots:99\noptions ndots:x ndots:", ResolvConf(ndots=15)),
        ("nameserver\nsearch\noptions", ResolvConf()),
    ],
)
def test_resolv_conf(text: str, expected: ResolvConf) -> None:
    """What resolv.conf(5) says of each line."""
    assert ResolvConf.parse(text) == expected


@pytest.mark.parametrize(
    ("name", "ndots", "expected"),
    [
        ("a.", 1, ["a."]),
        ("a", 1, ["a.x.example.", "a.y.", "a."]),
        ("a.b", 1, ["a.b.", "a.b.x.example.", "a.b.y."]),
        ("a.b", 2, ["a.b.x.example.", "a.b.y.", "a.b."]),
        ("a", 0, ["a.", "a.x.example.", "a.y."]),
    ],
)
def test_names(name: str, ndots: int, expected: list[str]) -> None:
    """A name with enough dots is asked for as it is first, another one after those of the search list."""
    assert ResolvConf((), ("x.example", "y."), ndots).names(name) == expected


@given(st.text(), st.text())
def test_any_text_is_a_configuration(text: str, name: str) -> None:
    """Nothing in the file is an error, and every name stands for at least one."""
    assert ResolvConf.parse(text).names(name)


GOOD = bytes.fromhex(
    "1234818000010002000000000161076578616d706c650000010001c00c0001000100000e100004c0000201c00c0005000100000e1000027878"
)


@given(st.binary(max_size=200) | st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=8)))
def test_any_bytes_are_an_answer_or_an_error(data: bytes | tuple[int, bytes]) -> None:
    """Only the library's own errors come out, also of an answer that is nearly good."""
    if isinstance(data, tuple):
        at, other = data
        data = GOOD[:at] + other + GOOD[at + len(other) :]
    with suppress(dns.exception.DNSException):
        assert isinstance(read_answer(data), dns.message.Message)
