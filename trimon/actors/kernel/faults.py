"""Exception groups of actors, taken apart: the crash, the cancellation, the errors inside, and their text."""

from __future__ import annotations

import traceback
from typing import Final

import trio

TEXT_MAX: Final = 1_000
TRACEBACK_MAX: Final = 16_000


# What the code of an actor or a plug-in may raise where it is called and not awaited. An exit is a fault like
# any other: the program ends by its signals, and not because one of its parts says so.
FAULTS: Final = BaseException


def split_fault(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """An actor's exception as (crash, cancellation, which goes on upwards)."""
    if isinstance(error, BaseExceptionGroup):
        rest, crash = error.split(trio.Cancelled)
        return (_unwrapped(crash) if crash is not None else None), rest
    if isinstance(error, trio.Cancelled):
        return None, error
    return error, None


def _unwrapped(error: BaseException) -> BaseException:
    """A group of one is that one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions inside a group, however deep; the exception itself when it is none."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def describe(error: BaseException) -> str:
    """One line of text for an exception or a group: types and messages, cut to a bounded length."""
    parts = []
    for leaf in leaves(error):
        try:
            text = str(leaf)
        except FAULTS:  # an exception whose text raises must still be reported
            text = "(its text cannot be shown)"
        parts.append(f"{type(leaf).__name__}: {text}" if text else type(leaf).__name__)
    line = "; ".join(parts)
    return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"


def traceback_text(error: BaseException) -> str:
    """The traceback, its middle cut out when it is too long."""
    try:
        text = "".join(traceback.format_exception(error))
    except FAULTS:  # formatting runs the exception's own code
        return describe(error)
    if len(text) <= TRACEBACK_MAX:
        return text
    half = TRACEBACK_MAX // 2
    return f"{text[:half]}\n… {len(text) - TRACEBACK_MAX} characters left out …\n{text[-half:]}"
