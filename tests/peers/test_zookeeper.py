"""ZooKeeper's client: its bytes, and the addresses of servers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.peers.zookeeper import client
from trimon.peers.zookeeper.client import address_of
from trimon.peers.zookeeper.jute import Op, Reader, Session, ZooKeeperError, greeting, request, set_watches

READS: list[Callable[[Reader], object]] = [
    Reader.int32,
    Reader.int64,
    Reader.buffer,
    Reader.text,
    Reader.texts,
    Reader.header,
    Reader.session,
]


@given(st.binary(max_size=80), st.lists(st.sampled_from(READS), max_size=6))
def test_any_bytes_are_read_or_refused(data: bytes, reads: list[Callable[[Reader], object]]) -> None:
    """Nothing but ZooKeeperError comes out."""
    reader = Reader(data)
    with suppress(ZooKeeperError):
        for read in reads:
            read(reader)


@given(st.lists(st.text(max_size=9)), st.lists(st.text(max_size=9)), st.integers(0, 2**62))
def test_watches_are_written_as_they_are_read(data: list[str], children: list[str], zxid: int) -> None:
    """Transaction, data watches, none for what does not exist, watches of children."""
    with suppress(UnicodeEncodeError):
        reader = Reader(set_watches(zxid, data, children))
        assert (reader.int64(), reader.texts(), reader.texts(), reader.texts()) == (zxid, data, [], children)


def test_messages_have_their_length_before_them() -> None:
    """A greeting of a session that goes on, and a request."""
    sent = greeting(Session(0x17, b"p" * 16, 4000), 99, 4000)
    reader = Reader(sent)
    assert reader.int32() == len(sent) - 4
    assert [reader.int32(), reader.int64(), reader.int32(), reader.int64()] == [0, 99, 4000, 0x17]
    assert reader.buffer() == b"p" * 16
    assert request(7, Op.GET_DATA, b"x") == bytes.fromhex("00000009 00000007 00000004") + b"x"


@given(st.sets(st.text(max_size=30)), st.sets(st.text(max_size=30)))
def test_all_watches_are_resumed_in_parts(data: set[str], children: set[str]) -> None:
    """However small a part may be, each watch is in one of them."""
    with suppress(UnicodeEncodeError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_SET_WATCHES_BYTES", 64)
        parts = list(client._chunks(data, children))
        assert {path for part in parts for path in part[0]} == data
        assert {path for part in parts for path in part[1]} == children
        assert sum(len(part[0]) + len(part[1]) for part in parts) == len(data) + len(children)


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("zk", ("zk", 2181)),
        ("zk:2182", ("zk", 2182)),
        ("[fd00::1]:2182", ("fd00::1", 2182)),
        ("[fd00::1]", ("fd00::1", 2181)),
    ],
)
def test_addresses_of_servers(server: str, expected: tuple[str, int]) -> None:
    """The port may be left out."""
    assert address_of(server) == expected


@pytest.mark.parametrize("server", ["zk:", "zk:x", "zk:99999", "a:b:c"])
def test_addresses_that_are_none(server: str) -> None:
    """A port that is none is told."""
    with pytest.raises(ZooKeeperError, match="is no port"):
        address_of(server)
