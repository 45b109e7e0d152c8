"""Memory as a seam: the allocator keeps what was freed, in case it is wanted again."""

from __future__ import annotations

import ctypes

# mallopt's number for the greatest number of arenas
_M_ARENA_MAX = -8


def one_arena() -> bool:
    """Have all threads allocate from one place; whether the C library (glibc) can. Before threads are started.

    Otherwise every thread that ever ran a query keeps freed memory for itself; under the interpreter's lock they hardly
    ever allocate at the same time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, 1))


def give_back() -> bool:
    """Returns freed memory to the system where the C library can (glibc); whether any was. Milliseconds: in a thread."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return False
    return bool(trim(0))
