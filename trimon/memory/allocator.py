"""The C library's allocator: it keeps what was freed, in case it is wanted again, unless it is told otherwise."""

from __future__ import annotations

import ctypes
from typing import Final, NamedTuple

# mallopt's numbers for what is set.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
# From here on an array has a mapping of its own, which goes back to the system with it; a new one costs a fault a page, so
# that smaller ones, which queries make and drop all the time, are left to the heap and its trimming. It is what glibc comes
# to by itself, once it has met an array as large.
MAPPED_BYTES_MIN: Final = 32 * 2**20
# So much free memory at the top of the heap is kept for what comes next.
TOP_BYTES_MAX: Final = 64 * 2**20


def configure_allocator() -> bool:
    """Have all threads allocate from one place, and the biggest arrays from mappings; whether the C library (glibc) can.

    To be called before threads are started. Otherwise every thread that ever ran a query keeps freed memory for itself;
    under the interpreter's lock they hardly ever allocate at the same time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    done = [
        mallopt(_M_ARENA_MAX, 1),
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN),
        mallopt(_M_TRIM_THRESHOLD, TOP_BYTES_MAX),
    ]
    return all(done)


def give_back() -> bool:
    """Returns freed memory to the system where the C library can (glibc); whether any was. Milliseconds: in a thread."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return False
    return bool(trim(0))


class HeapFigures(NamedTuple):
    """What the C library says of its memory. Some microseconds to ask for."""

    used_bytes: int
    """What was asked for and not freed."""
    free_bytes: int
    """What was freed and is kept; pages in it that were given back to the system count all the same."""


class _Mallinfo(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def heap_figures() -> HeapFigures | None:
    """Used and free bytes of the heap, mappings of single arrays included; None where the C library does not tell."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    ask.restype = _Mallinfo
    told = ask()
    return HeapFigures(told.uordblks + told.hblkhd, told.fordblks)
