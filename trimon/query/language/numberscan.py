"""Where numbers and durations end in a text, and where one that goes wrong does, as Prometheus finds it."""

from __future__ import annotations

import re
from typing import Final

_DECIMAL: Final = re.compile(r"[0-9]+", re.ASCII)
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_WORDLY: Final = re.compile(r"[0-9a-zA-Z_]", re.ASCII)
_FIRST_UNITS: Final = tuple("smhdwy")
_UNITS: Final = tuple("smhdw")


def scan_number(text: str, start: int) -> tuple[int, bool]:
    """Where what begins here ceases to be a number, and whether it is one; not all of them have a value."""
    at, digits = start, _DECIMAL
    if text.startswith("0", at):
        at += 1
        if text.startswith(("x", "X"), at):
            at, digits = at + 1, _HEXADECIMAL
            at += text.startswith("_", at)
    at += text.startswith(".", at)
    at += digits.match(text, at) is not None
    dots = exponents = 0
    while at < len(text):
        char = text[at]
        if char == ".":
            at, dots = at + 1, dots + 1
            refused: tuple[str, ...] = ("_", ".")
        elif char in "eE":
            at, exponents = at + 1, exponents + 1
            refused = (".", "_", "e", "E")
        elif char == "_":
            at += 1
            refused = (".", "_", "e", "E")
        elif (run := digits.match(text, at)) is not None:
            at = run.end()
            continue
        else:
            break
        if dots > 1 or exponents > 1:
            return at, False
        if char in "eE":
            at += text.startswith(("+", "-"), at)
        if text.startswith(refused, at):
            return at + 1, False
        if (char == "." and digits is _HEXADECIMAL) or (char != "." and at == len(text)):
            return at, False
    return at, at > start and _WORDLY.match(text, at) is None


def scan_units(text: str, start: int) -> tuple[int, bool]:
    """Where a duration ends whose first number ends here, and whether it is one; not all of them have a value."""
    if not text.startswith(_FIRST_UNITS, start):
        return start, False
    at = start + 1
    at += text.startswith("s", at)
    while (run := _DECIMAL.match(text, at)) is not None:
        at = run.end()
        if not text.startswith(_UNITS, at):
            return at, False
        at += 1
        at += text.startswith("s", at)
    return (at + 1, False) if _WORDLY.match(text, at) is not None else (at, True)
