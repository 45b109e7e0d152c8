"""A script's text as commands: clear, load, eval with its expectations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Final

from trimon.errors import UserError
from trimon.gotext.strings import unquote
from trimon.model.labels import Labels
from trimon.model.matcher import compile_regexp
from trimon.query.conformance.series import (
    ExpectedSeries,
    parse_described,
    parse_metric,
    parse_offsets,
    split_metric,
)
from trimon.query.language.numbers import parse_number
from trimon.records import dataclass
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
_PLAIN_NUMBER: Final = re.compile(
    r"[+-]?(?:(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan|0x[0-9a-f_]+)",
    re.IGNORECASE | re.ASCII,
)
_STRING: Final = re.compile(r"""expect\s+string\s+("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)""")


@dataclass(frozen=True, slots=True)
class ExpectedMessage:
    """What a failure or annotation must say: anything, an exact text, or a pattern to be found.

    Raises UserError for a pattern that is none.
    """

    kind: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        if self.kind == "regex":
            compile_regexp(self.text)

    def fits(self, message: str) -> bool:
        """Whether a message is what was expected."""
        if self.kind == "msg":
            return message == self.text
        # Names of labels may be no UTF-8; those bytes are of no interest here.
        shown = message.encode("utf-8", "replace").decode()
        return not self.kind or compile_regexp(self.text).search(shown) is not None


@dataclass(frozen=True, slots=True)
class LoadedSeries:
    """A line of a load: samples and, where given, start timestamps as offsets."""

    described: ExpectedSeries
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
    fail: ExpectedMessage | None = None
    fail_told: bool = False
    warnings: list[ExpectedMessage] = field(default_factory=list)
    infos: list[ExpectedMessage] = field(default_factory=list)
    no_warnings: bool = False
    no_infos: bool = False
    ordered: bool = False
    text: str | None = None
    scalar: float | None = None
    matrix_grid: tuple[int, int, int] | None = None
    expected: list[ExpectedSeries] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How reports name the case."""
        return f"line {self.line}: {self.query}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An eval that says what no script can say; the other cases do not depend on it."""

    line: int
    text: str
    reason: str


Command = Clear | Load | Eval | Unreadable


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
        body = _Body(lines[index:end], index + 1)
        try:
            if word == "clear":
                out.append(Clear(index + 1))
            elif word.startswith("load"):
                out.append(_load(body))
            elif word.startswith("eval"):
                out.append(_eval(body))
            else:
                raise UserError(f'invalid command "{lines[index]}"')
        except UserError as error:
            reason = f"line {body.line}: {error}"
            if not word.startswith("eval"):
                raise UserError(reason) from None
            out.append(Unreadable(index + 1, lines[index], reason))
            body.taken = len(body.lines)
        index += body.taken
    return out


@dataclass(slots=True)
class _Body:
    """The lines of a command, its first one included, up to an empty one; `taken` of them were read."""

    lines: list[str]
    first: int
    taken: int = 1

    @property
    def line(self) -> int:
        """The number of the line that was read last."""
        return self.first + self.taken - 1

    def rest(self) -> Iterator[str]:
        """The lines behind the first one; one that was given is taken."""
        while self.taken < len(self.lines):
            self.taken += 1
            yield self.lines[self.taken - 1]


def _load(body: _Body) -> Load:
    match = _LOAD.fullmatch(body.lines[0])
    if match is None:
        raise UserError("invalid load command. (load[_with_nhcb] <step:duration>)")
    step_ms = parse_duration_ms(match[2])
    series: list[LoadedSeries] = []
    starts: tuple[Labels, tuple[int | None, ...]] | None = None
    for text in body.rest():
        metric, rest = split_metric(text)
        if rest.startswith("@st"):
            if starts is not None:
                raise UserError("@st line has no following sample line")
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
    return Load(body.first, step_ms, tuple(series), match[1] is not None)


def _eval(body: _Body) -> Eval:
    instant = _INSTANT.fullmatch(body.lines[0])
    ranged = _RANGE.fullmatch(body.lines[0])
    if instant is not None:
        if instant[2] is None:
            raise UserError('invalid timestamp definition ""')
        at = parse_duration_ms(instant[2])
        made = Eval(body.first, instant[3], at, at, 1, ranged=False)
        suffix = instant[1]
    elif ranged is not None:
        start, end, step = (parse_duration_ms(ranged[index]) for index in (2, 3, 4))
        if end < start:
            raise UserError(f"invalid test definition, end timestamp ({ranged[3]}) is before start timestamp")
        made = Eval(body.first, ranged[5], start, end, step, ranged=True)
        suffix = ranged[1]
    else:
        raise UserError(
            "invalid evaluation command. Must be either 'eval[_fail|_warn|_ordered] instant [at <offset:duration>] "
            "<query>' or 'eval[_fail|_warn] range from <from> to <to> step <step> <query>'"
        )
    _apply_suffix(made, (suffix or "").lower())
    for text in body.rest():
        if not _expectation(made, text):
            break
    if not made.ranged and made.matrix_grid is None:
        for series in made.expected:
            if len(series.items) != 1:
                raise UserError(f"expecting {len(series.items)} values in instant evaluation not allowed")
    return made


def _apply_suffix(made: Eval, suffix: str) -> None:
    match suffix:
        case "fail":
            made.fail = ExpectedMessage()
        case "warn":
            made.warnings.append(ExpectedMessage())
        case "info":
            made.infos.append(ExpectedMessage())
        case "ordered":
            made.ordered = True


def _expectation(made: Eval, text: str) -> bool:
    """Take in one line; False when it ends the body."""
    if text.startswith("expected_fail_"):
        kind, _, message = text.removeprefix("expected_fail_").partition(" ")
        if kind not in ("message", "regexp"):
            raise UserError(f"invalid expect statement: {text}")
        made.fail = ExpectedMessage("msg" if kind == "message" else "regex", message.strip())
        return False
    if re.match(r"expect\s", text):
        _expect(made, text)
        return True
    if _PLAIN_NUMBER.fullmatch(text):
        made.scalar = parse_number(text)
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
    quoted = _STRING.fullmatch(text)
    if quoted is not None:
        made.text = unquote(quoted[1])
        return
    match = _EXPECT.fullmatch(text)
    if match is None:
        raise UserError(f"invalid expect statement: {text}")
    message = ExpectedMessage(match[2] or "", (match[3] or "").strip())
    match match[1]:
        case "fail":
            if made.fail_told:
                raise UserError("invalid expect lines, multiple expect fail lines found")
            made.fail, made.fail_told = message, True
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
    for kind, told, none in (
        ("warn", made.warnings, made.no_warnings),
        ("info", made.infos, made.no_infos),
    ):
        if told and none:
            raise UserError(f"invalid expect lines, {kind} and no_{kind} cannot be used together")
