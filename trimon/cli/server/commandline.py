"""Reading the server's command line as Prometheus does: exact names, `--x=v` or `--x v`, `--no-x` for switches.

What cannot be read at all is a `CommandLineError` with exit code 1; a value that is wrong, or given twice, has exit
code 2 and the usage.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from trimon.cli.server.flags import BY_NAME, FLAGS, Flag
from trimon.errors import UserError
from trimon.records import dataclass
from trimon.units import (
    format_duration,
    format_size,
    parse_duration_ms,
    parse_go_duration_ns,
    parse_size_bytes,
)

MESSAGES: Final = ("prometheus.WriteRequest", "io.prometheus.write.v2.Request")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)


class CommandLineError(UserError):
    """A command line that cannot be read; `exit_code` and whether the usage is printed say how bad it is."""

    def __init__(self, message: str, *, exit_code: int = 1, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.hint = hint


@dataclass(slots=True)
class ServerFlags:
    """The values of all flags by name; `given` has the names that the command line has."""

    values: dict[str, Any] = field(default_factory=dict)
    given: dict[str, None] = field(default_factory=dict)
    help: bool = False
    version: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def read_command_line(arguments: Sequence[str]) -> ServerFlags:
    """The flags of a command line. Raises CommandLineError."""
    read = ServerFlags({flag.name: read_value(flag, flag.default) for flag in FLAGS})
    waiting = list(_expanded(arguments))[::-1]
    while waiting:
        argument = waiting.pop()
        if argument in ("-h", "--help", "--help-long", "--help-man"):
            read.help = True
            return read
        if argument == "--version":
            read.version = True
            return read
        if argument.startswith("--") and len(argument) > 2:
            name, equals, text = argument[2:].partition("=")
            flag, switch = _flag(name)
            if flag.kind == "bool":
                if equals:
                    raise CommandLineError(f"unexpected {text}")
                _set(read, flag, switch)
                continue
            if not equals:
                if not waiting or waiting[-1].startswith("-"):
                    raise CommandLineError(f"expected argument for flag '--{name}'")
                text = waiting.pop()
            _set(read, flag, _checked(flag, text))
        elif argument.startswith("-") and len(argument) > 1:
            raise CommandLineError(f"unknown short flag '{argument[:2]}'")
        else:
            raise CommandLineError(f"unexpected {argument}")
    return read


def _expanded(arguments: Sequence[str]) -> list[str]:
    """The arguments, `@file` replaced by the lines of the file."""
    out: list[str] = []
    for argument in arguments:
        if not argument.startswith("@") or argument == "@":
            out.append(argument)
            continue
        try:
            lines = Path(argument[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise CommandLineError(f"cannot read arguments of {argument[1:]}: {error}") from None
        out += [line for line in lines if line.strip() and not line.startswith("#")]
    return out


def _flag(name: str) -> tuple[Flag, bool]:
    """The flag of a name, and which way a switch is turned."""
    flag = BY_NAME.get(name)
    if flag is not None:
        return flag, True
    turned = BY_NAME.get(name.removeprefix("no-")) if name.startswith("no-") else None
    if turned is not None and turned.kind == "bool":
        return turned, False
    near = difflib.get_close_matches(name, BY_NAME, n=1, cutoff=0.75)
    hint = f"did you mean --{near[0]}?" if near else ""
    raise CommandLineError(f"unknown long flag '--{name}'", hint=hint)


def _set(read: ServerFlags, flag: Flag, value: Any) -> None:
    again = flag.name in read.given
    if flag.kind in ("texts", "messages"):
        read.values[flag.name] = (*(read.values[flag.name] if again else ()), *value)
    elif again:
        raise CommandLineError(f"flag '{flag.name}' cannot be repeated", exit_code=2)
    else:
        read.values[flag.name] = value
    read.given[flag.name] = None


def _checked(flag: Flag, text: str) -> Any:
    try:
        return read_value(flag, text)
    except UserError as error:
        raise CommandLineError(error.message, exit_code=2) from None


def read_value(flag: Flag, text: str) -> Any:
    """The value of a flag's text. Raises UserError."""
    match flag.kind:
        case "duration":
            return parse_duration_ms(text) if text or flag.default else None
        case "go-duration":
            return parse_go_duration_ns(text)
        case "size":
            return parse_size_bytes(text)
        case "bool":
            return text == "true"
        case "count" | "number":
            if not _NUMBER.fullmatch(text):
                raise UserError(f'strconv.ParseFloat: parsing "{text}": invalid syntax')
            if not math.isfinite(float(text)):
                raise UserError(f'strconv.ParseFloat: parsing "{text}": value out of range')
            return float(text) if flag.kind == "number" else int(float(text))
        case "texts":
            return (text,) if text else ()
        case "messages":
            return _messages(text)
        case "choice":
            text = text.lower() if flag.any_case else text
            if text not in flag.choices:
                raise UserError(flag.bad_choice.format(choices=",".join(flag.choices), value=text))
            return text
        case _:
            return text


def _messages(text: str) -> tuple[str, ...]:
    found = tuple(text.split(","))
    for message in found:
        if message not in MESSAGES:
            known = ", ".join(MESSAGES)
            raise UserError(f"unknown type for remote write protobuf message {message}, supported: {known}")
    return found


def _go_duration(duration_ns: int) -> str:
    if duration_ns % 1_000_000_000 and abs(duration_ns) < 1_000_000_000:
        return f"{duration_ns / 1_000_000:g}ms"
    minutes, seconds = divmod(duration_ns / 1_000_000_000, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours}h"] if hours else []
    parts += [f"{minutes}m"] if minutes or hours else []
    return "".join([*parts, f"{seconds:g}s"])


def shown_value(flag: Flag, value: Any) -> str:
    """A flag's value as /api/v1/status/flags shows it."""
    match flag.kind:
        case "bool":
            return "true" if value else "false"
        case "duration":
            return format_duration(value or 0)
        case "go-duration":
            return _go_duration(value)
        case "size":
            return format_size(value)
        case "number":
            return f"{value:g}"
        case "texts" | "messages":
            return ",".join(value)
        case _:
            return str(value)


def usage() -> str:
    """What `--help` prints of the server."""
    lines = [
        "usage: trimon [<flags>]",
        "       trimon check | config | debug | demo | promql | push | query | rules | test | tsdb --help",
        "",
        "A monitoring server: a drop-in for Prometheus. Without a command it serves.",
        "",
        "Flags:",
        "  -h, --help  Show this text.",
        "      --version  Show the version.",
    ]
    for flag in FLAGS:
        shown = (
            f"--[no-]{flag.name}"
            if flag.kind == "bool"
            else f"--{flag.name}={flag.default or flag.kind.upper()}"
        )
        effect = " No effect." if flag.inert else ""
        lines.append(f"      {shown}\n          {flag.help}{effect}")
    return "\n".join(lines)
