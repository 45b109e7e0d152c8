"""Targets in files that somebody else writes."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import trio
from watchfiles._rust_notify import RustNotify  # documented as the direct way to its backend

from trimon.clock import WallClock
from trimon.config.globs import files_like
from trimon.discovery.filereads import FileReads
from trimon.discovery.plugin import CheckedGroups, Context, Sink, TargetGroup
from trimon.discovery.sink import BadPublish, check_groups
from trimon.discovery.targetfile import groups_of, target_text
from trimon.errors import UserError
from trimon.openfiles import os_errors

REFRESH_S: Final = 300.0
# How often the watcher is asked; a file written a moment ago is seen within this time.
LOOK_S: Final = 1.0
# More changed targets than this are checked in a thread.
CHECK_INLINE_MAX: Final = 200
# A file that changed less than this ago may change again under the same time stamps.
SETTLED_S: Final = 2.0
_PATTERN: Final = re.compile(r"[^*]*(?:\*[^/]*)?\.(?:json|yml|yaml|JSON|YML|YAML)")


@dataclass(frozen=True, slots=True)
class _File:
    """What is known of one file."""

    groups: tuple[TargetGroup, ...] = ()
    mtime_s: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    """What one reading of a file gave. The same stamp means the same contents; without one it is read again."""

    path: Path
    mtime_s: float
    groups: tuple[TargetGroup, ...] = ()
    error: str = ""
    stamp: tuple[int, ...] = ()


class FileDiscovery:
    """Reads all files at the start, when something in their directories changes, and from time to time.

    A bad file keeps the groups it had and is counted; a file that is gone takes its groups with it. Options:
    `files`, patterns of which the last element may hold one `*`; `refresh_s` (300).
    """

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        patterns = options.get("files")
        if isinstance(patterns, str) or not isinstance(patterns, Sequence) or not patterns:
            raise UserError("file service discovery config must contain at least one path name")
        for pattern in patterns:
            if not _PATTERN.fullmatch(str(pattern)):
                raise UserError(f'path name "{pattern}" is not valid for file discovery')
        self._patterns = [Path(str(pattern)) for pattern in patterns]
        self._refresh_s = float(str(options.get("refresh_s", REFRESH_S)))
        self._context = context
        self._log = context.log.bind(discovery=context.name)
        self._files: dict[Path, _File] = {}
        self._last: list[_Read] = []
        self._read_errors = 0
        self._last_success_ms = 0
        self._last_error = ""
        self._last_error_ms = 0
        self._watch_errors = 0
        self._scan_s = 0.0
        self._readings = 0
        self._refused = ""
        self._watching: tuple[str, ...] = ()
        self._reads = FileReads()
        self._matched: dict[Path, tuple[Path, ...]] = {}

    async def run(self, sink: Sink) -> None:
        """Read, publish what changed, wait; for ever."""
        self._files.clear()
        self._last = []
        while True:
            watcher = await self._context.offload.run(self._watch)
            try:
                # The watcher stands before the files are read: what changes meanwhile is seen afterwards.
                await self._publish(sink)
                await self._wait(watcher)
            finally:
                if watcher is not None:
                    watcher.close()

    def inspect(self) -> dict[str, object]:
        """Figures for people and for metrics."""
        return {
            "patterns": [str(pattern) for pattern in self._patterns],
            "watching": list(self._watching),
            "readings": self._readings,
            "read_errors": self._read_errors,
            "last_success_ms": self._last_success_ms,
            "last_error": self._last_error,
            "last_error_ms": self._last_error_ms,
            "watch_errors": self._watch_errors,
            "scan_s": self._scan_s,
            "refused": self._refused,
            "hanging": dict(self._reads.hanging()),
            "files": {
                str(path): {"groups": len(file.groups), "mtime_s": file.mtime_s, "error": file.error}
                for path, file in self._files.items()
            },
        }

    async def _publish(self, sink: Sink) -> None:
        """Read and publish; what is too much in all changes nothing, and is tried again when something changes."""
        began_s = trio.current_time()
        last, readings = self._last, await self._context.offload.run(self._read_all)
        self._readings += 1
        self._scan_s += trio.current_time() - began_s
        for reading in readings:
            if reading.error:
                self._read_errors += 1
                self._log.error("Error reading file", path=str(reading.path), err=reading.error)
        self._note([reading.error for reading in readings if reading.error])
        self._last = readings
        if len(readings) == len(last) and all(map(operator.is_, readings, last)):
            sink.publish(check_groups([]))
            return
        files = _after(self._files, readings)
        try:
            before = self._files
            found = (
                _changes(before, files)
                if _size(before) + _size(files) <= CHECK_INLINE_MAX
                else await self._context.offload.run(lambda: _changes(before, files))
            )
            sink.publish(found)
        except BadPublish as error:
            self._refused, self._last = str(error), []
            self._log.error("the targets of all files were refused", err=str(error))
        else:
            self._files, self._refused = files, ""

    def _note(self, errors: Sequence[str]) -> None:
        """A reading in which a file is bad is no success, although the others count."""
        now_ms = self._context.clock.now_ms()
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            self._last_error, self._last_error_ms = errors[0] + more, now_ms
        else:
            self._last_error, self._last_success_ms = "", now_ms

    def _read_all(self) -> list[_Read]:
        last = {reading.path: reading for reading in self._last}
        with self._reads.session():
            return [_read(path, last.get(path), self._reads) for path in self._matching()]

    def _matching(self) -> list[Path]:
        """The files of all patterns; those of a directory that does not answer are the ones of before."""
        found: dict[Path, None] = {}
        for pattern in self._patterns:
            try:
                self._matched[pattern] = self._reads.call(str(pattern), lambda one=pattern: files_like(one))  # type: ignore[misc] # mypy cannot infer it
            except OSError as error:
                self._log.error("Error listing files", path=str(pattern), err=str(error))
            found.update(dict.fromkeys(self._matched.get(pattern, ())))
        return list(found)

    def _watch(self) -> RustNotify | None:
        """A watcher of the directories that exist; None when there is none or the system gives none."""
        directories = sorted({str(pattern.parent) for pattern in self._patterns})
        try:
            with self._reads.session():
                directories = [name for name in directories if self._reads.call(name, Path(name).is_dir)]
                self._watching = tuple(directories)
                if not directories:
                    return None
                return self._reads.call(
                    "changes", lambda: RustNotify(directories, False, False, 0, False, True)
                )
        except (OSError, RuntimeError) as error:
            self._watch_errors += 1
            self._log.error("Error watching directories", err=str(error))
            self._watching = ()
            return None

    async def _wait(self, watcher: RustNotify | None) -> None:
        """Until something in a directory changes, or it is time."""
        with trio.move_on_after(self._refresh_s):
            if watcher is None:
                await trio.sleep_forever()
            while True:
                await trio.sleep(LOOK_S)
                # The backend collects changes by itself; asking takes a few ms and not the event loop.
                changes = await self._context.offload.run(lambda: watcher.watch(1, 1, 1, None))
                if isinstance(changes, set) and changes:
                    return


def _size(files: Mapping[Path, _File]) -> int:
    """How many groups there are and, where they are few, targets."""
    groups = sum(len(file.groups) for file in files.values())
    if groups > CHECK_INLINE_MAX:
        return groups
    return groups + sum(len(group.targets) for file in files.values() for group in file.groups)


def _after(files: Mapping[Path, _File], readings: Sequence[_Read]) -> dict[Path, _File]:
    """What is known after a reading: a bad file keeps what it had, one that is gone has nothing."""
    found = {}
    for reading in readings:
        if reading.error:
            found[reading.path] = replace(files.get(reading.path, _File()), error=reading.error)
        else:
            found[reading.path] = _File(reading.groups, reading.mtime_s)
    return found


def _changes(before: Mapping[Path, _File], after: Mapping[Path, _File]) -> CheckedGroups:
    """The groups that are new or others, and those that are gone, as empty ones. Raises BadPublish.

    Groups that neither had targets nor have any are left out: files may have any number of them.
    """
    old, new = _with_targets(before), _with_targets(after)
    gone = [TargetGroup(source) for source in old.keys() - new.keys()]
    return check_groups(gone + [group for source, group in new.items() if old.get(source) != group])


def _with_targets(files: Mapping[Path, _File]) -> dict[str, TargetGroup]:
    return {group.source: group for file in files.values() for group in file.groups if group.targets}


def _read(path: Path, last: _Read | None, reads: FileReads) -> _Read:
    """A reading of a file; the last one again when the file has not changed since."""
    try:
        with os_errors(path):
            found = reads.call(str(path), path.stat)
        stamp: tuple[int, ...] = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        if last is not None and last.stamp == stamp:
            return last
        changed_s = max(found.st_mtime, found.st_ctime)
        if WallClock().now_ms() / 1000 - changed_s < SETTLED_S:
            stamp = ()
        groups = tuple(groups_of(reads.call(str(path), lambda: target_text(path)), path))
        check_groups(groups)
        return _Read(path, found.st_mtime, groups, stamp=stamp)
    except (UserError, BadPublish, OSError) as error:
        return _Read(path, 0.0, error=str(error))
