"""The collector of cycles, out of the way."""

from __future__ import annotations

import gc
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
