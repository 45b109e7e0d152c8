"""Native histogram literals of the script language, `{{schema:0 count:3 buckets:[1 2]}}`, as written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trimon.errors import UserError
from trimon.query.language.numbers import parse_number
from trimon.records import dataclass

_FIELD: Final = re.compile(r"\s*([a-z_]+)\s*:\s*(\[[^\]]*\]|[^\s\]}]+)", re.ASCII)
_LISTS: Final = frozenset({"buckets", "n_buckets", "custom_values"})
_INTEGERS: Final = frozenset({"schema", "offset", "n_offset"})
_NUMBERS: Final = frozenset({"count", "sum", "z_bucket", "z_bucket_w"})
_HINTS: Final = frozenset({"unknown", "reset", "not_reset", "gauge"})

Field = float | int | str | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HistogramLiteral:
    """The fields that were written; the defaults are the reader's business."""

    fields: tuple[tuple[str, Field], ...]
    step: HistogramLiteral | None = None
    sign: str = ""
    times: int = 0

    def progression(self, step: HistogramLiteral | None, sign: str, times: int) -> Iterator[HistogramLiteral]:
        """`self` and then `times` more, each with `step` added or subtracted once more."""
        for index in range(times + 1):
            yield self if step is None else HistogramLiteral(self.fields, step, sign, index)


def scan_histogram(text: str, position: int) -> int:
    """Where the literal that begins at `position` ends. Raises UserError when it does not."""
    end = text.find("}}", position)
    if end < 0:
        raise UserError("unexpected end of input in histogram description")
    return end + 2


def parse_histogram(text: str) -> HistogramLiteral:
    """One literal with its braces. Raises UserError."""
    body = text[2:-2]
    fields: dict[str, Field] = {}
    position = 0
    while body[position:].strip():
        match = _FIELD.match(body, position)
        if match is None:
            raise UserError(f"unexpected {body[position:].strip()!r} in histogram description")
        name, value = match.groups()
        if name in fields:
            raise UserError(f'duplicate key "{name}" in histogram')
        fields[name] = _value(name, value)
        position = match.end()
    return HistogramLiteral(tuple(fields.items()))


def _value(name: str, text: str) -> Field:
    if name in _LISTS and text.startswith("["):
        return tuple(_number(part) for part in text[1:-1].split())
    if name in _INTEGERS:
        try:
            return int(text)
        except ValueError:
            raise UserError(f"expected an integer for {name} in histogram description: {text}") from None
    if name in _NUMBERS:
        return _number(text)
    if name == "counter_reset_hint" and text in _HINTS:
        return text
    raise UserError(f"unexpected {name}:{text} in histogram description")


def _number(text: str) -> float:
    sign = -1.0 if text.startswith("-") else 1.0
    return sign * parse_number(text.lstrip("+-"))
