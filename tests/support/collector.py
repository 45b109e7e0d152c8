"""The collector of cycles, out of the way."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing is freed but by its last reference; what lay about before is gone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def tls_connections(*, server_side: bool) -> int:
    """How many connections the library of TLS has on one side, in this process."""
    return sum(isinstance(one, ssl.SSLObject) and one.server_side is server_side for one in gc.get_objects())
