"""A script's text as commands: clear, load, eval with its expectations."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from trimon.errors import UserError
from trimon.model.labels import Labels
from trimon.query.conformance.series import (
    Described,
    parse_described,
    parse_metric,
    parse_offsets,
    split_metric,
)
from trimon.query.quoting import unquote
from trimon.units import parse_duration_ms

_INSTANT: Final = re.compile(
    r"eval(?:_(fail|warn|info|ordered))?\s+instant\s+(?:at\s+(\S+)\s+)?(.+)", re.IGNORECASE | re.DOTALL
)
_RANGE: Final = re.compile(
    r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)",
    re.IGNORECASE | re.DOTALL,
)
_LOAD: Final = re.compile(r"load(_with_nhcb)?\s+(\S+)", re.IGNORECASE)
_EXPECT: Final = re.compile(
    r"expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.*))?", re.DOTALL
)
_EXPECT_RANGE: Final = re.compile(r"expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?(?:[\d.]+(?:[eE][+-]?\d+)?|inf|nan|0x[0-9a-f]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Message:
    """What a failure or annotation must say: anything, an exact text, or a pattern to be found."""

    kind: str = ""
    text: str = ""

    def fits(self, message: str) -> bool:
        """Whether a message is what was expected."""
        if self.kind == "msg":
            return message == self.text
        return not self.kind or re.search(self.text, message) is not None


@dataclass(frozen=True, slots=True)
class LoadedSeries:
    """A line of a load: samples and, where given, start timestamps as offsets."""

    described: Described
    starts: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget everything."""

    line: int


@dataclass(frozen=True, slots=True)
class Load:
    """Add samples, one each `step_ms` from time 0."""

    line: int
    step_ms: int
    series: tuple[LoadedSeries, ...]
    with_nhcb: bool


@dataclass(slots=True)
class Eval:
    """One case: a query at one time, or over a range, and what is expected of it."""

    line: int
    query: str
    start_ms: int
    end_ms: int
    step_ms: int
    ranged: bool
    fail: Message | None = None
    warnings: list[Message] = field(default_factory=list)
    infos: list[Message] = field(default_factory=list)
    no_warnings: bool = False
    no_infos: bool = False
    ordered: bool = False
    text: str | None = None
    scalar: float | None = None
    matrix_grid: tuple[int, int, int] | None = None
    expected: list[Described] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How reports name the case."""
        return f"line {self.line}: {self.query}"


Command = Clear | Load | Eval


def parse_script(text: str) -> list[Command]:
    """All commands of a script. Raises UserError with the line."""
    lines = [line.strip() for line in text.split("\n")]
    lines = ["" if line.startswith("#") else line for line in lines]
    out: list[Command] = []
    index = 0
    while index < len(lines):
        if not lines[index]:
            index += 1
            continue
        end = index
        while end < len(lines) and lines[end]:
            end += 1
        word = lines[index].split(maxsplit=1)[0].lower()
        try:
            if word == "clear":
                out.append(Clear(index + 1))
                end = index + 1
            elif word.startswith("load"):
                out.append(_load(lines[index:end], index + 1))
            elif word.startswith("eval"):
                out.append(_eval(lines[index:end], index + 1))
            else:
                raise UserError(f'invalid command "{lines[index]}"')
        except UserError as error:
            raise UserError(f"line {index + 1}: {error}") from None
        index = end
    return out


def _load(lines: list[str], line: int) -> Load:
    match = _LOAD.fullmatch(lines[0])
    if match is None:
        raise UserError("invalid load command. (load[_with_nhcb] <step:duration>)")
    series: list[LoadedSeries] = []
    starts: tuple[Labels, tuple[int | None, ...]] | None = None
    for text in lines[1:]:
        metric, rest = split_metric(text)
        if rest.startswith("@st"):
            starts = parse_metric(metric), tuple(parse_offsets(rest[3:]))
            continue
        described = parse_described(text)
        offsets: tuple[int | None, ...] = ()
        if starts is not None:
            labels, offsets = starts
            if labels != described.labels:
                raise UserError("@st metric does not match the following sample line metric")
            if len(offsets) != len(described.items):
                raise UserError(
                    f"@st line has {len(offsets)} values but sample line has {len(described.items)}"
                )
            starts = None
        series.append(LoadedSeries(described, offsets))
    if starts is not None:
        raise UserError("@st line has no following sample line")
    return Load(line, parse_duration_ms(match[2]), tuple(series), match[1] is not None)


def _eval(lines: list[str], line: int) -> Eval:
    instant = _INSTANT.fullmatch(lines[0])
    ranged = _RANGE.fullmatch(lines[0])
    if instant is not None:
        if instant[2] is None:
            raise UserError('invalid timestamp definition ""')
        at = parse_duration_ms(instant[2])
        made = Eval(line, instant[3], at, at, 1, ranged=False)
        suffix = instant[1]
    elif ranged is not None:
        start, end, step = (parse_duration_ms(ranged[index]) for index in (2, 3, 4))
        if end < start:
            raise UserError(f"invalid test definition, end timestamp ({ranged[3]}) is before start timestamp")
        made = Eval(line, ranged[5], start, end, step, ranged=True)
        suffix = ranged[1]
    else:
        raise UserError(
            "invalid evaluation command. Must be either 'eval[_fail|_warn|_ordered] instant [at <offset:duration>] "
            "<query>' or 'eval[_fail|_warn] range from <from> to <to> step <step> <query>'"
        )
    _apply_suffix(made, (suffix or "").lower())
    for text in lines[1:]:
        if not _expectation(made, text):
            break
    return made


def _apply_suffix(made: Eval, suffix: str) -> None:
    match suffix:
        case "fail":
            made.fail = Message()
        case "warn":
            made.warnings.append(Message())
        case "info":
            made.infos.append(Message())
        case "ordered":
            made.ordered = True


def _expectation(made: Eval, text: str) -> bool:
    """Take in one line; False when it ends the body."""
    if text.startswith("expect") and re.match(r"expect(?:\s|_|ed_fail)", text):
        _expect(made, text)
        return True
    if text.startswith("expected_fail_"):
        kind, _, message = text.removeprefix("expected_fail_").partition(" ")
        made.fail = Message("msg" if kind == "message" else "regex", message.strip())
        return True
    if _PLAIN_NUMBER.fullmatch(text):
        made.scalar = float(text)
        return False
    made.expected.append(parse_described(text))
    return True


def _expect(made: Eval, text: str) -> None:
    grid = _EXPECT_RANGE.fullmatch(text)
    if grid is not None:
        start, end, step = (parse_duration_ms(part) for part in grid.groups())
        made.matrix_grid = start, end, step
        made.start_ms = made.end_ms = end
        return
    if re.match(r"expect\s+string\s", text):
        made.text = unquote(text.split(maxsplit=2)[2])
        return
    if text.startswith("expected_fail"):
        kind = "msg" if text.startswith("expected_fail_message") else "regex"
        made.fail = Message(kind, text.split(maxsplit=1)[1])
        return
    match = _EXPECT.fullmatch(text)
    if match is None:
        raise UserError(f"invalid expect statement: {text}")
    message = Message(match[2] or "", (match[3] or "").strip())
    match match[1]:
        case "fail":
            made.fail = message
        case "ordered":
            made.ordered = True
        case "warn":
            made.warnings.append(message)
        case "info":
            made.infos.append(message)
        case "no_warn":
            made.no_warnings = True
        case _:
            made.no_infos = True
