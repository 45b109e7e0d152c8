"""The compiled library, where there is one that fits.

Callers ask `function(...)` once, when they are imported, and go the way of their Python twin where it gives None. A call keeps
the interpreter's lock: the loops take microseconds, and taking the lock back from a busy thread takes longer than that.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trimon.errors import OperatingError

if TYPE_CHECKING:
    import numpy.typing as npt

VERSION: Final = 17
"""The one of loops.h."""
FILE: Final = Path(__file__).with_name("loops.so")
# What says how arguments are passed: an array by the address of its first item.
ADDRESS: Final = ctypes.c_void_p
BYTES: Final = ctypes.c_char_p
INT32: Final = ctypes.c_int32
INT64: Final = ctypes.c_int64
UINT64: Final = ctypes.c_uint64
DOUBLE: Final = ctypes.c_double
_BYTE: Final = ctypes.c_char


def address_of(array: npt.NDArray[Any]) -> int:
    """Where an array begins, as ADDRESS, in a third of the time that `array.ctypes` takes. The caller keeps the array."""
    try:
        return ctypes.addressof(_BYTE.from_buffer(array))  # type: ignore[arg-type] # arrays are buffers; their type does not say so
    except (TypeError, ValueError):  # it is read-only, empty, or not in one piece
        return array.ctypes.data


def _fresh_bytes() -> Callable[[None, int], bytes]:
    """Python's own way to make bytes that are filled before anybody sees them, which saves their copy out of an array."""
    make = ctypes.pythonapi.PyBytes_FromStringAndSize
    make.restype, make.argtypes = ctypes.py_object, (ctypes.c_char_p, ctypes.c_ssize_t)
    return make


fresh_bytes: Final = _fresh_bytes()
"""`fresh_bytes(None, size)`: so many bytes, whatever they are, for a loop to write to as BYTES before they are used."""


def _opened(path: Path) -> ctypes.PyDLL:
    """The library. Raises OperatingError where it is missing, broken or of another age."""
    try:
        library = ctypes.PyDLL(str(path))
        version = int(library.trimon_loops_version())
    except (OSError, AttributeError) as error:
        raise OperatingError(f"{path.name} cannot be loaded: {error}") from None
    if version != VERSION:
        raise OperatingError(f"{path.name} is of version {version}, wanted is {VERSION}: build it anew")
    return library


def _library() -> tuple[ctypes.PyDLL | None, str]:
    if os.environ.get("TRIMON_COMPILED") == "off":
        return None, "switched off by TRIMON_COMPILED=off"
    try:
        return _opened(FILE), ""
    except OperatingError as error:
        return None, str(error)


_LIBRARY, MISSING = _library()
"""Why there is none; empty where there is one."""


def function(name: str, result: Any, arguments: Sequence[Any]) -> Callable[..., Any] | None:
    """A function of the library by its name in C, with the types of what it returns and takes; None without a library."""
    if _LIBRARY is None:
        return None
    found = getattr(_LIBRARY, name)
    found.restype, found.argtypes = result, list(arguments)
    return found  # type: ignore[no-any-return] # ctypes has no type for it
