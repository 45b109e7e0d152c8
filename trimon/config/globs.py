"""Patterns of file names: `*`, `?` and `[a-z]` in the last element."""

from __future__ import annotations

import fnmatch
import os
import re
from pathlib import Path
from typing import Final

from trimon.errors import UserError
from trimon.gotext.strings import go_quote

_GLOB: Final = re.compile(r"[^*]*(?:\*[^/]*)?", re.DOTALL)
_MAGIC: Final = re.compile(r"[*?\[]")
# A class that ends, with something in it; everything else in a pattern is good.
_CLASS: Final = re.compile(r"\[\^?[^\]]+\]|[^\[]", re.DOTALL)


class PatternError(UserError):
    """A pattern of file names that is none."""

    def __init__(self, pattern: str) -> None:
        super().__init__("syntax error in pattern")
        self.pattern = pattern


def glob_error(text: str, what: str) -> str | None:
    """The error of a pattern with `*` before its last element."""
    return None if _GLOB.fullmatch(text) else f"{what} {go_quote(text)}"


def expand_glob(pattern: str) -> tuple[Path, ...]:
    """The files that match a pattern, sorted. Blocks on the disk. Raises PatternError.

    What is named in full is there also if it is a directory or a device: reading it says what is wrong.
    """
    whole = Path(pattern)
    if not _MAGIC.search(whole.name):
        return (whole,) if pattern and _exists(whole) else ()
    if not re.fullmatch(rf"(?:{_CLASS.pattern})*", whole.name, re.DOTALL):
        raise PatternError(pattern)
    return files_like(whole)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # in a directory that must not be looked into; a longer name than there can be
        return False


def files_like(pattern: Path) -> tuple[Path, ...]:
    """The files that a pattern in the last element of a path matches, sorted. Blocks on the disk."""
    # several stars match what one does; Python would look into directories, or refuse them
    name = re.sub(r"\*+", "*", pattern.name).replace("[^", "[!")
    try:
        return tuple(sorted(match for match in pattern.parent.glob(name) if not match.is_dir()))
    except (
        OSError,
        ValueError,
    ):  # nothing that the system can be asked about, or a directory that it does not show
        return ()


def names_like(pattern: str) -> tuple[str, ...]:
    """The names of files that a pattern matches, in all of its elements, as Go's Glob gives them. Blocks on the disk.

    A name without a pattern in it stays as it is written, doubled slashes too; others are cleaned. Directories are left out.
    """
    found = _names_like(pattern) if pattern else ()
    return found if not _MAGIC.search(pattern) else tuple(name for name in found if not Path(name).is_dir())


def _names_like(pattern: str) -> tuple[str, ...]:
    try:
        if not _MAGIC.search(pattern):
            return (pattern,) if os.path.lexists(pattern) else ()
        before, _, last = pattern.rpartition("/")
        directory = before or ("/" if pattern.startswith("/") else ".")
        directories = _names_like(directory) if _MAGIC.search(directory) else (directory,)
        # several stars match what one does, and `^` negates a class
        wanted = re.sub(r"\*+", "*", last).replace("[^", "[!")
        return tuple(
            os.path.normpath(f"{each}/{name}")
            for each in directories
            if Path(each).is_dir()
            for name in sorted(os.listdir(each))  # noqa: PTH208 # names, which are cleaned as texts
            if fnmatch.fnmatchcase(name, wanted)
        )
    except (
        OSError,
        ValueError,
    ):  # nothing that the system can be asked about, or a directory that it does not show
        return ()


def expand_globs(patterns: tuple[str, ...]) -> tuple[Path, ...]:
    """The files that match the patterns, in the order of the patterns, each file once. Blocks on the disk.

    Raises PatternError.
    """
    return tuple(dict.fromkeys(path for pattern in patterns for path in expand_glob(pattern)))
