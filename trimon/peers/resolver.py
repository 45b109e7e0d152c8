"""Asks the DNS servers of this machine, as its resolv.conf says: UDP first, TCP for what does not fit.

Source: resolv.conf(5), RFC 1035, RFC 6891. Nothing is kept: who asks again wants to know what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import trio

from trimon.errors import OperatingError
from trimon.offload import Offload
from trimon.openfiles import read_regular
from trimon.records import dataclass

RESOLV_CONF = Path("/etc/resolv.conf")
PORT = 53
# For each way of asking one server.
ANSWER_S: Final = 2.0
UDP_BYTES: Final = 4096
NDOTS_MAX: Final = 15
_FILE_BYTES_MAX: Final = 256 * 2**10
# Bigger answers are read in a thread.
_INLINE_BYTES_MAX: Final = 1232
_VIABLE: Final = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
_TROUBLE: Final = (OSError, trio.TooSlowError, trio.BrokenResourceError, dns.exception.DNSException)


class ResolveError(OperatingError):
    """No server can be asked, or none gave an answer that can be used."""


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What resolv.conf says."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1

    @classmethod
    def parse(cls, text: str) -> ResolvConf:
        """The last `search` or `domain` counts, and all of `nameserver`; what is not understood is passed over."""
        servers: list[str] = []
        search: tuple[str, ...] = ()
        ndots = 1
        for line in text.splitlines():
            word, *rest = line.split() or [""]
            if word == "nameserver" and rest:
                servers.append(rest[0])
            elif word == "domain" and rest:
                search = (rest[0],)
            elif word == "search":
                search = tuple(rest)
            elif word == "options":
                for option in rest:
                    name, _, value = option.partition(":")
                    if name == "ndots" and value.isascii() and value.isdigit():
                        ndots = min(int(value[:9]), NDOTS_MAX)
        return cls(tuple(servers), search, ndots)

    def names(self, name: str) -> list[str]:
        """The full names that a name may stand for, in the order in which they are asked for."""
        if name.endswith("."):
            return [name]
        found = [
            f"{name}.{domain.strip('.')}." if domain.strip(".") else f"{name}." for domain in self.search
        ]
        if name.count(".") >= self.ndots:
            return [f"{name}.", *found]
        return [*found, f"{name}."]


class Resolver:
    """Asks for the records of a name."""

    def __init__(self, offload: Offload, failed: Callable[[str, str, str], None]) -> None:
        """`failed` is told of each server that gave no answer: server, name, why."""
        self._offload = offload
        self._failed = failed

    async def ask(self, name: str, kind: str) -> dns.message.Message | None:
        """The answer; None when no such name exists. Raises ResolveError."""
        conf = await self._offload.run(_configuration)
        all_said_no = True
        for full in conf.names(name):
            answer = await self._ask_servers(conf, full, kind)
            if answer is None:
                all_said_no = False
            elif answer.rcode() == dns.rcode.NOERROR:
                return answer
        if all_said_no:
            return None
        raise ResolveError(
            f'could not resolve "{name}": no server answered for one of the names it may stand for'
        )

    async def _ask_servers(self, conf: ResolvConf, name: str, kind: str) -> dns.message.Message | None:
        """The first answer that says yes or no."""
        for server in conf.servers:
            try:
                answer = await self._ask_server(server, name, kind)
            except _TROUBLE as error:
                self._failed(server, name, str(error) or type(error).__name__)
                continue
            if answer.rcode() in _VIABLE:
                return answer
            self._failed(server, name, dns.rcode.to_text(answer.rcode()))
        return None

    async def _ask_server(self, server: str, name: str, kind: str) -> dns.message.Message:
        full = dns.name.from_text(name)
        query = dns.message.make_query(full, kind, use_edns=0, payload=UDP_BYTES)
        with trio.fail_after(ANSWER_S):
            answer = await self._over_udp(server, query)
        if not answer.flags & dns.flags.TC:
            return answer
        query = dns.message.make_query(full, kind)
        with trio.fail_after(ANSWER_S):
            return await self._over_tcp(server, query)

    async def _over_udp(self, server: str, query: dns.message.Message) -> dns.message.Message:
        """The answer to this question; anything else that comes is passed over."""
        family, _, _, _, place = (
            await trio.socket.getaddrinfo(server, PORT, type=trio.socket.SOCK_DGRAM, flags=_NUMERIC)
        )[0]
        with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as socket:
            await socket.connect(place)
            await socket.send(query.to_wire())
            while True:
                data = await socket.recv(65535)
                try:
                    answer = await self._read(data)
                except dns.exception.DNSException:
                    continue
                if query.is_response(answer):
                    return answer

    async def _over_tcp(self, server: str, query: dns.message.Message) -> dns.message.Message:
        async with await trio.open_tcp_stream(server, PORT) as stream:
            await stream.send_all(query.to_wire(prepend_length=True))
            data = b""
            while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
                piece = await stream.receive_some(65536)
                if not piece:
                    raise ResolveError("the server ended its answer early")
                data += piece
        answer = await self._read(data[2 : 2 + int.from_bytes(data[:2], "big")])
        if not query.is_response(answer):
            raise ResolveError("the server answered another question")
        if answer.flags & dns.flags.TC:
            raise ResolveError("the answer does not fit into 64 KiB")
        return answer

    async def _read(self, data: bytes) -> dns.message.Message:
        if len(data) <= _INLINE_BYTES_MAX:
            return read_answer(data)
        return await self._offload.run(lambda: read_answer(data))


_NUMERIC: Final = trio.socket.AI_NUMERICHOST


def read_answer(data: bytes) -> dns.message.Message:
    """An answer from its bytes; what is behind it does not count. Raises DNSException."""
    try:
        return dns.message.from_wire(data, ignore_trailing=True)
    except (ValueError, IndexError, KeyError, TypeError, UnicodeError) as error:
        # The library promises DNSException only; the bytes are somebody else's.
        raise dns.exception.FormError(str(error)) from None  # type: ignore[no-untyped-call] # it is not annotated


def _configuration() -> ResolvConf:
    try:
        return ResolvConf.parse(read_regular(RESOLV_CONF, _FILE_BYTES_MAX).decode("utf-8", "replace"))
    except OSError as error:
        raise ResolveError(f"could not read {RESOLV_CONF}: {error.strerror or error}") from None
