"""A file of configuration as text: prometheus.yml, and whatever else is read as one (rules, targets, secrets of the web)."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from trimon import limits
from trimon.errors import Position, UserError
from trimon.openfiles import read_at_once, read_start

# `utf-16` reads the mark itself, and leaves it out
_MARKED: Final = {
    codecs.BOM_UTF16_LE: ("utf-16", "UTF-16"),
    codecs.BOM_UTF16_BE: ("utf-16", "UTF-16"),
}


def read_text(path: Path, bytes_max: int, *, lenient: bool = False, waits: bool = True) -> str:
    """The text of a file, or of a pipe that is fed now, of at most `bytes_max`. Raises UserError that names the file.

    A `lenient` reading replaces what is no UTF-8. One that never `waits`, of a file that a pattern found, refuses pipes.
    """
    try:
        if waits:
            data = read_start(path, bytes_max + 1, limits.PIPE_READ_S)
        else:
            data = read_at_once(path, bytes_max + 1)
    except OSError as error:
        verb = "read" if isinstance(error, IsADirectoryError) else "open"
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{verb} {path}: {reason}") from None
    if len(data) > bytes_max:
        raise UserError(f"file is larger than {bytes_max} bytes", Position(file=str(path)))
    return data.decode("utf-8", "replace") if lenient else _decoded(data, path)


def _decoded(data: bytes, path: Path) -> str:
    """UTF-8, or what a byte order mark says, as YAML has it."""
    encoding, name = next(
        (found for mark, found in _MARKED.items() if data.startswith(mark)), ("utf-8", "UTF-8")
    )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        raise UserError(f"yaml: invalid {name}", Position(before.count("\n") + 1, 0, str(path))) from None
