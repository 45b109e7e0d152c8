"""Bounds of buckets and quantiles as they are written in the end."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from trimon.errors import UserError
from trimon.gotext.floats import format_label
from trimon.gotext.numbers import parse_go_float

_CHARACTERS_MAX: Final = 32


def written_bound(text: str) -> str:
    """A number, in any form that Go reads, as OpenMetrics writes it; what is no number stays. Bounds repeat."""
    return _kept(text) if len(text) <= _CHARACTERS_MAX else _written(text)


def _written(text: str) -> str:
    try:
        return format_label(parse_go_float(text))
    except UserError:
        return text


_kept = lru_cache(maxsize=4096)(_written)
