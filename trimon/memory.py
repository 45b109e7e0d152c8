"""Memory as a seam: the allocator keeps what was freed, in case it is wanted again."""

from __future__ import annotations

import ctypes


def give_back() -> bool:
    """Returns freed memory to the system where the C library can (glibc); whether any was. Milliseconds: in a thread."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return False
    return bool(trim(0))
