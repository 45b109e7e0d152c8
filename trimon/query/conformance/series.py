"""Series descriptions: `metric{labels} 1 2+3x4 _ stale`, as scripts and rule tests write samples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trimon.errors import Position, UserError
from trimon.model.labels import Labels, labels_of
from trimon.model.matcher import MatchType
from trimon.model.sample import NORMAL_NAN, STALE_NAN
from trimon.query.conformance.literal import HistogramLiteral, parse_histogram, scan_histogram
from trimon.query.language.errors import ParseError
from trimon.query.language.numbers import is_duration, parse_duration_s, parse_number
from trimon.query.language.tokens import T
from trimon.query.language.tokenstream import TokenStream
from trimon.query.language.vectorselector import parse_vector_selector
from trimon.records import dataclass
from trimon.units import parse_duration_ms

_NUMBER: Final = (
    r"(?:(?:\d+(?:ms|[ywdhms]))+|(?:\d(?:_?\d)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF]|[nN][aA][nN])"
)
_VALUE: Final = re.compile(
    rf"(?P<value>[+-]?{_NUMBER}|stale)(?P<step>[+-]{_NUMBER})?(?:x(?P<times>\w*))?(?=\s|$)", re.ASCII
)
_MISSING: Final = re.compile(r"_(?:x(?P<times>\w*))?(?=\s|$)", re.ASCII)
_REPEAT: Final = re.compile(r"x(\w*)(?=\s|$)", re.ASCII)
_OFFSET: Final = re.compile(
    r"(?P<value>[+-]?(?:\d+(?:ms|[ywdhms]))+|[+-]?0)(?P<step>[+-](?:(?:\d+(?:ms|[ywdhms]))+|0))?(?:x(?P<times>\d+))?(?=\s|$)",
    re.ASCII,
)
_SAMPLES_MAX: Final = 1_000_000


class SeriesError(UserError):
    """A description of samples that cannot be read; the position is that in its line."""


# A float, a histogram, or None for a sample that is missing.
Item = float | HistogramLiteral | None


@dataclass(frozen=True, slots=True)
class ExpectedSeries:
    """One line: the label set, and one item per step."""

    labels: Labels
    items: tuple[Item, ...]


def split_metric(line: str) -> tuple[str, str]:
    """The metric part of a line and what follows it."""
    position = 0
    match = re.match(r"[a-zA-Z_:][a-zA-Z0-9_:]*", line, re.ASCII)
    if match:
        position = match.end()
    rest = line[position:]
    stripped = rest.lstrip()
    if stripped.startswith("{") and not stripped.startswith("{{"):
        position += len(rest) - len(stripped)
        position = _closing_brace(line, position)
    return line[:position], line[position:]


def _closing_brace(line: str, position: int) -> int:
    quote = ""
    while position < len(line):
        char = line[position]
        if quote:
            if char == "\\" and quote != "`":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "\"'`":
            quote = char
        elif char == "}":
            return position + 1
        position += 1
    raise SeriesError("unexpected end of input inside braces", Position(1, position + 1))


def parse_metric(text: str) -> Labels:
    """A label set such as `name{a="b"}`. Raises UserError."""
    stream = TokenStream(text)
    name = None if stream.at(T.LEFT_BRACE) else stream.take()
    selector = parse_vector_selector(stream, name)
    if not stream.at(T.EOF):
        raise stream.unexpected("label set")
    for matcher in selector.matchers:
        if matcher.type is not MatchType.EQUAL:
            raise ParseError("series descriptions take only equality of labels", text)
    return labels_of((matcher.name, matcher.value) for matcher in selector.matchers)


def parse_described(line: str) -> ExpectedSeries:
    """One line of samples. Raises UserError."""
    metric, rest = split_metric(line)
    if rest and not rest[0].isspace():
        raise SeriesError(f'unexpected "{rest[:1]}" in series values', Position(1, len(metric) + 1))
    return ExpectedSeries(parse_metric(metric), tuple(parse_items(line, len(metric))))


def parse_items(text: str, position: int = 0) -> Iterator[Item]:
    """The samples of a value sequence that begins at a position, one per step. Raises UserError."""
    total = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position >= len(text):
            return
        begin = position
        try:
            items, position = _one_item(text, begin)
        except UserError as error:
            raise SeriesError(error.message, Position(1, begin + 1)) from None
        for item in items:
            total += 1
            if total > _SAMPLES_MAX:
                raise UserError(f"series values: more than {_SAMPLES_MAX} samples")
            yield item


def _one_item(text: str, position: int) -> tuple[Iterator[Item], int]:
    if text.startswith("{{", position):
        return _histograms(text, position)
    match = _MISSING.match(text, position)
    if match:
        count = 1 if match["times"] is None else _repeats(match["times"])
        return iter([None] * min(count, _SAMPLES_MAX + 1)), match.end()
    match = _VALUE.match(text, position)
    if match is None:
        word = text[position:].split(maxsplit=1)[0]
        raise UserError(f'unexpected identifier "{word}" in series values, expected number or "stale"')
    value = _number(match["value"])
    if match["times"] is None:
        if match["step"] is not None:
            raise UserError(f'unexpected "{match.group()}" in series values, expected a repetition')
        return iter([value]), match.end()
    step = _number(match["step"]) if match["step"] else 0.0
    return _progression(value, step, _repeats(match["times"])), match.end()


def _progression(value: float, step: float, times: int) -> Iterator[Item]:
    yield value
    for _ in range(times):
        if step:
            value += step
        yield value


def _histograms(text: str, position: int) -> tuple[Iterator[Item], int]:
    end = scan_histogram(text, position)
    first = parse_histogram(text[position:end])
    step: HistogramLiteral | None = None
    sign = ""
    if text[end : end + 3] in ("+{{", "-{{"):
        sign = text[end]
        behind = scan_histogram(text, end + 1)
        step = parse_histogram(text[end + 1 : behind])
        end = behind
    match = _REPEAT.match(text, end)
    if match is None:
        if text[end : end + 1].strip():
            raise UserError(f'unexpected "{text[end:].split(maxsplit=1)[0]}" in series values')
        return iter([first]), end
    return first.progression(step, sign, _repeats(match.group(1))), match.end()


def _repeats(text: str) -> int:
    if not text.isdigit():
        raise UserError(f"invalid repetition in series values: {text}")
    return int(text)


def _number(text: str) -> float:
    if text == "stale":
        return STALE_NAN
    sign = -1.0 if text.startswith("-") else 1.0
    body = text.lstrip("+-")
    if body.lower() == "nan":
        return NORMAL_NAN
    return sign * (parse_duration_s(body) if is_duration(body) else parse_number(body))


def parse_offsets(text: str) -> Iterator[int | None]:
    """The items of an `@st` line: milliseconds to add to each sample's own time, or None."""
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position >= len(text):
            return
        match = _MISSING.match(text, position)
        if match:
            yield from [None] * (1 if match["times"] is None else _repeats(match["times"]))
            position = match.end()
            continue
        match = _OFFSET.match(text, position)
        if match is None:
            raise UserError(f"invalid start timestamp {text[position:].split(maxsplit=1)[0]!r}")
        value = _signed_ms(match["value"])
        yield value
        step = _signed_ms(match["step"]) if match["step"] else 0
        for _ in range(_repeats(match["times"]) if match["times"] else 0):
            value += step
            yield value
        position = match.end()


def _signed_ms(text: str) -> int:
    value = parse_duration_ms(text.lstrip("+-"))
    return -value if text.startswith("-") else value
