"""Shapes of hidden requests against the real server, plain and over TLS."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.attack.smuggling import FOUND, HIDDEN, Shape, ask, run, shapes, wrong
from tests.support.process import running


@pytest.mark.parametrize("tls", [False, True])
def test_no_hidden_request_is_answered(tls: bool, tmp_path: Path) -> None:
    """What one reader takes for a body and another for a request is refused, or is read as everybody reads it."""
    found, sent, tracebacks = run(tmp_path, 1, tls=tls)
    assert found == {}
    assert sent == len(shapes())
    assert tracebacks == 0


def test_a_request_that_is_not_hidden_is_found(tmp_path: Path) -> None:
    """The attack can tell: the same request, openly behind another one, is answered."""
    with running(tmp_path / "data", "global: {}\n") as server:
        sent = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN
        got = ask(lambda: socket.create_connection(("127.0.0.1", server.port), 10), sent)
    assert FOUND in got
    assert "hidden request was answered" in wrong(Shape("open", sent, ((200,),)), got)
