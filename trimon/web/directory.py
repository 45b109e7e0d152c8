"""A directory whose files clients may name: what lies outside of it is not there for them. For threads."""

from __future__ import annotations

import errno
import mimetypes
import os
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from trimon.openfiles import os_errors, read_regular

T = TypeVar("T")

FILE_BYTES_MAX: Final = 64 * 2**20
_TYPES: Final = mimetypes.MimeTypes(filenames=())
# What browsers insist on, and older Pythons do not know.
_TYPES.add_type("text/javascript", ".js")
_TYPES.add_type("text/javascript", ".mjs")
_MISSING: Final = "no such file or directory"


class NotServed(OSError):
    """What a client named is no file of the directory; the text says so as a failed `open` does."""

    def __str__(self) -> str:
        """The text."""
        return f"open {self.filename}: {self.strerror}"


class ServedDirectory:
    """The files of one directory, by paths with slashes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str, bytes_max: int = FILE_BYTES_MAX) -> bytes:
        """The content of a file. Raises NotServed where there is none, or one that a link leads out to."""
        return self._reached(name, lambda real: read_regular(real, bytes_max))

    def find(self, name: str) -> Path:
        """Where a file or directory is. Raises NotServed."""
        return self._reached(name, lambda real: real)

    def _reached(self, name: str, use: Callable[[Path], T]) -> T:
        inside = posixpath.normpath("/" + name).lstrip("/")
        shown = os.path.normpath(self._path / inside)
        try:
            with os_errors(shown):
                real, base = (self._path / inside).resolve(strict=True), self._path.resolve(strict=True)
                if not real.is_relative_to(base):
                    raise NotServed(errno.ENOENT, _MISSING, shown)
                return use(real)
        except NotServed:
            raise
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise NotServed(error.errno or errno.EIO, reason, shown) from None
        except RuntimeError:  # links in a circle
            raise NotServed(errno.ELOOP, "too many levels of symbolic links", shown) from None


def media_type(name: str) -> str:
    """The type of a file by the end of its name; what is not known is bytes."""
    found, encoding = _TYPES.guess_type(name)
    if found is None or encoding is not None:
        return "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found
