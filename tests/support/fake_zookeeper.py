"""A ZooKeeper server in memory: sessions that expire, watches that fire once, connections that can be cut."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any, Final

NO_NODE: Final = -101
_STAT: Final = bytes(68)


class FakeZooKeeper:
    """Nodes by path; `put` and `delete` fire watches. Threads, so that it serves whatever loop runs."""

    def __init__(self) -> None:
        self.nodes: dict[str, bytes] = {"/": b""}
        self.requests: list[tuple[str, str]] = []
        self.sessions: set[int] = set()
        self.odd: list[bytes] = []
        """Messages that are sent before the answer to the next read."""
        self.deaf = False
        self.zxid = 10
        self._changed_at: dict[str, int] = {}
        self._lock = threading.RLock()
        self._connections: set[_Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def put(self, path: str, data: bytes = b"") -> None:
        """Create a node, with all above it, or change its data."""
        with self._lock:
            above = path.rpartition("/")[0] or "/"
            if above not in self.nodes:
                self.put(above)
            self.zxid += 1
            known = path in self.nodes
            self.nodes[path] = data
            self._changed_at[path] = self.zxid
            self._fire(3 if known else 1, path)
            if not known:
                self._changed_at[f"{above}*"] = self.zxid
                self._fire(4, above)

    def delete(self, path: str) -> None:
        """Delete a node and all below it."""
        with self._lock:
            for below in self.children(path):
                self.delete(f"{path.rstrip('/')}/{below}")
            self.zxid += 1
            del self.nodes[path]
            above = path.rpartition("/")[0] or "/"
            self._changed_at[path] = self._changed_at[f"{above}*"] = self.zxid
            self._fire(2, path)
            self._fire(4, above)

    def children(self, path: str) -> list[str]:
        """Names below a path."""
        start = path.rstrip("/") + "/"
        return [
            each[len(start) :]
            for each in self.nodes
            if each.startswith(start) and each != "/" and "/" not in each[len(start) :]
        ]

    def cut(self) -> None:
        """Close all connections; sessions stay."""
        with self._lock:
            for each in list(self._connections):
                each.close()

    def expire(self) -> None:
        """End all sessions and connections."""
        with self._lock:
            self.sessions.clear()
            self.cut()

    def close(self) -> None:
        """End it, and wait until it has ended."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for each in self._threads:
            each.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=_Connection(self, connection).run, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _fire(self, kind: int, path: str) -> None:
        for each in list(self._connections):
            each.fire(kind, path)


class _Connection:
    """One client."""

    def __init__(self, server: FakeZooKeeper, connection: socket.socket) -> None:
        self._server = server
        self._socket = connection
        self._data: set[str] = set()
        self._children: set[str] = set()

    def run(self) -> None:
        with contextlib.suppress(OSError, struct.error), self._socket:
            self._greet()
            while True:
                frame = self._read()
                with self._server._lock:
                    self._answer(frame)
        self._server._connections.discard(self)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def fire(self, kind: int, path: str) -> None:
        if (kind in (1, 2, 3) and path in self._data) or (kind in (2, 4) and path in self._children):
            if kind != 4:
                self._data.discard(path)
            if kind in (2, 4):
                self._children.discard(path)
            self._send(struct.pack(">iqiii", -1, -1, 0, kind, 3) + _text(path))

    def _read(self) -> bytes:
        (length,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self._socket.recv(count - len(found))
            if not piece:
                raise OSError("closed")
            found += piece
        return found

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(struct.pack(">i", len(message)) + message)

    def _greet(self) -> None:
        _, _, timeout, session = struct.unpack_from(">iqiq", self._read())
        server = self._server
        with server._lock:
            if session and session not in server.sessions:
                self._send(struct.pack(">iiq", 0, 0, 0) + _text("\0" * 16) + b"\0")
                raise OSError("expired")
            session = session or 0x100 + len(server.sessions) + server.zxid
            server.sessions.add(session)
            server._connections.add(self)
            server.requests.append(("connect", ""))
            self._send(struct.pack(">iiq", 0, timeout, session) + _text("\1" * 16) + b"\0")

    def _answer(self, frame: bytes) -> None:
        xid, op = struct.unpack_from(">ii", frame)
        server = self._server
        if server.deaf:
            return
        if op == -11:
            self.close()
            return
        if op == 101:
            self._resume(frame[8:])
        if op in (11, 101):
            self._send(struct.pack(">iqi", xid, server.zxid, 0))
            return
        for odd in server.odd:
            self._send(odd)
        server.odd.clear()
        (length,) = struct.unpack_from(">i", frame, 8)
        path = frame[12 : 12 + length].decode()
        server.requests.append(("get" if op == 4 else "children", path))
        if path not in server.nodes:
            self._send(struct.pack(">iqi", xid, server.zxid, NO_NODE))
            return
        (self._data if op == 4 else self._children).add(path)
        head = struct.pack(">iqi", xid, server.zxid, 0)
        if op == 4:
            self._send(head + _text(server.nodes[path]) + _STAT)
        else:
            names = server.children(path)
            self._send(head + struct.pack(">i", len(names)) + b"".join(map(_text, names)) + _STAT)

    def _resume(self, body: bytes) -> None:
        (seen,) = struct.unpack_from(">q", body)
        at, lists = 8, []
        for _ in range(3):
            (count,) = struct.unpack_from(">i", body, at)
            at += 4
            texts = []
            for _ in range(count):
                (length,) = struct.unpack_from(">i", body, at)
                texts.append(body[at + 4 : at + 4 + length].decode())
                at += 4 + length
            lists.append(texts)
        changed = self._server._changed_at
        for path in lists[0]:
            self._data.add(path)
            if changed.get(path, 0) > seen:
                self.fire(3 if path in self._server.nodes else 2, path)
        for path in lists[2]:
            self._children.add(path)
            if path not in self._server.nodes:
                self.fire(2, path)
            elif changed.get(f"{path}*", 0) > seen:
                self.fire(4, path)
        self._server.requests.append(("resume", " ".join(sorted({*lists[0], *lists[2]}))))


def _text(text: str | bytes) -> Any:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">i", len(data)) + data
