"""The configuration file of before, kept beside while the one that took its place is watched.

```text
prometheus.yml                                   what is watched
prometheus.yml.<digest of it>.before-apply       what was there: a second name of the same file, locked by who watches
```

When the watch ends the second name goes, or takes the first one's place again. A process that is killed meanwhile leaves
both, and the next start finds what is watched by nobody: the file of before comes back, as after a stop.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Final

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.limits import CONFIG_FILE_BYTES_MAX, PIPE_READ_S
from trimon.openfiles import read_start

SUFFIX: Final = ".before-apply"
_DIGEST_CHARACTERS: Final = 16


class PreviousFile:
    """What stood in a file when `text` was to be written into it. All of it blocks on the disk; raises OperatingError."""

    def __init__(self, path: Path, text: bytes, files: Files) -> None:
        self._path = path.resolve()
        self._text = text
        self._files = files
        self._kept = self._path.with_name(f"{self._path.name}.{_digest(text)}{SUFFIX}")
        self._lock = -1

    def replace(self) -> None:
        """The text stands in the file, and what stood there is kept beside."""
        try:
            before = read_start(self._path, CONFIG_FILE_BYTES_MAX, PIPE_READ_S)
            self._keep(before)
            self._files.write_atomic(self._path, self._text)
        except OSError as error:
            self._let_go()
            raise OperatingError(f"{self._path} cannot be replaced: {error}") from error

    def _keep(self, before: bytes) -> None:
        self._files.remove(self._kept)
        try:
            self._files.link(self._path, self._kept)
        except OSError:  # a file system without links, or a file that is not the process' own
            self._files.write_atomic(self._kept, before)
            self._kept.chmod(self._path.stat().st_mode & 0o777)
        self._files.sync_directory(self._kept.parent)
        self._lock = os.open(self._kept, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # No file system with locks: a start beside this process takes the watch for one that has ended.

    def drop(self) -> None:
        """The text is there to stay."""
        self._let_go()

    def bring_back(self) -> bool:
        """What stood in the file is there again; a file that somebody has changed since then stays. Says whether one has."""
        try:
            is_theirs = read_start(self._path, CONFIG_FILE_BYTES_MAX, PIPE_READ_S) != self._text
            if is_theirs:
                self._let_go()
                return True
            self._files.rename(self._kept, self._path)
            self._files.sync_directory(self._path.parent)
        except OSError as error:
            raise OperatingError(f"{self._path} cannot be written: {error}") from error
        finally:
            self._unlock()
        return False

    def _let_go(self) -> None:
        try:
            self._files.remove(self._kept)
        except OSError as error:
            raise OperatingError(f"{self._kept} cannot be removed: {error}") from error
        finally:
            self._unlock()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def finish_rollback(path: Path, files: Files) -> str:
    """Brings back the file of before when the process that watched the one in its place has gone; says what was done.

    Empty when there was nothing to do. Blocks on the disk. Raises OperatingError when the file cannot be brought back.
    """
    done = ""
    try:
        path = path.resolve()
        for name in files.names(path.parent):
            if name.startswith(f"{path.name}.") and name.endswith(SUFFIX):
                digest = name[len(path.name) + 1 : -len(SUFFIX)]
                done = _finish(path, path.with_name(name), digest, files) or done
    except OSError as error:
        raise OperatingError(f"the configuration before cannot be brought back: {error}") from error
    return done


def _finish(path: Path, kept: Path, digest: str, files: Files) -> str:
    if _is_watched(kept):
        return ""
    now = read_start(path, CONFIG_FILE_BYTES_MAX, PIPE_READ_S)
    if now == files.read(kept, CONFIG_FILE_BYTES_MAX):
        files.remove(
            kept
        )  # The process was killed before it wrote. Renaming one name of a file to the other does nothing.
        return ""
    if _digest(now) != digest:
        files.remove(kept)
        return "the file was changed after a configuration that was not watched to the end, and is taken as it is"
    files.rename(kept, path)
    files.sync_directory(path.parent)
    return "it was not watched to the end; the file of before is back"


def _is_watched(kept: Path) -> bool:
    descriptor = os.open(kept, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no file system with locks
        return False
    finally:
        os.close(descriptor)
    return False


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:_DIGEST_CHARACTERS]
