"""Exception groups, taken apart. No other place in the program does this."""

from __future__ import annotations

import traceback
from typing import Final

TEXT_MAX: Final = 1_000
TRACEBACK_MAX: Final = 16_000


def split_fault(error: BaseException) -> tuple[Exception | None, BaseException | None]:
    """An actor's exception as (crash, what must go on upwards): cancellation, interrupts, exits."""
    if isinstance(error, BaseExceptionGroup):
        crash, rest = error.split(Exception)
        return (_unwrapped(crash) if crash is not None else None), rest
    if isinstance(error, Exception):
        return error, None
    return None, error


def _unwrapped(error: BaseException) -> Exception:
    """A group of one is that one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    assert isinstance(error, Exception)
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
        except Exception:  # noqa: BLE001 - an exception whose text raises must still be reported
            text = "(its text cannot be shown)"
        parts.append(f"{type(leaf).__name__}: {text}" if text else type(leaf).__name__)
    line = "; ".join(parts)
    return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"


def traceback_text(error: BaseException) -> str:
    """The traceback, its middle cut out when it is too long."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - formatting runs the exception's own code
        return describe(error)
    if len(text) <= TRACEBACK_MAX:
        return text
    half = TRACEBACK_MAX // 2
    return f"{text[:half]}\n… {len(text) - TRACEBACK_MAX} characters left out …\n{text[-half:]}"
