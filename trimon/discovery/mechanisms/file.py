"""Targets in files that somebody else writes."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Final

import trio
from watchfiles._rust_notify import RustNotify  # documented as the direct way to its backend

from trimon import limits
from trimon.clock import WallClock
from trimon.collector import uncollected
from trimon.config.globs import names_like
from trimon.discovery.filereads import FileReads
from trimon.discovery.plugin import CheckedGroups, Context, Sink, TargetGroup
from trimon.discovery.sink import BadPublish, TooManyTargets, check_groups, merge_group
from trimon.discovery.targetfile import groups_of, target_text
from trimon.errors import UserError
from trimon.openfiles import os_errors
from trimon.records import dataclass

REFRESH_S: Final = 300.0
# How often the watcher is asked; a file written a moment ago is seen within this time.
LOOK_S: Final = 1.0
# More changed targets than this are checked in a thread.
CHECK_INLINE_MAX: Final = 200
# A longer text makes so many objects that nothing is collected meanwhile.
LONG_CHARACTERS: Final = 512 * 1024
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
    """What one reading of a file gave. The same stamp means the same contents, good or bad; without one it is read again."""

    path: str
    """As it is named, which is how `__meta_filepath` has it."""
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
        self._patterns = [str(pattern) for pattern in patterns]
        self._refresh_s = float(str(options.get("refresh_s", REFRESH_S)))
        self._context = context
        self._log = context.log.bind(discovery=context.name)
        self._files: dict[str, _File] = {}
        self._last: list[_Read] = []
        self._taken: list[_Read] = []
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
        self._matched: dict[str, tuple[str, ...]] = {}

    async def run(self, sink: Sink) -> None:
        """Read, publish what changed, wait; for ever."""
        self._files.clear()
        self._last, self._taken = [], []
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
            "patterns": list(self._patterns),
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
                path: {"groups": len(file.groups), "mtime_s": file.mtime_s, "error": file.error}
                for path, file in self._files.items()
            },
        }

    async def _publish(self, sink: Sink) -> None:
        """Read and publish; what is too much in all changes nothing, and is tried again when something changes."""
        began_s = trio.current_time()
        taken, readings = self._taken, await self._context.offload.run(self._read_all)
        self._readings += 1
        self._scan_s += trio.current_time() - began_s
        for reading in readings:
            if reading.error:
                self._read_errors += 1
                self._log.error("Error reading file", path=reading.path, err=reading.error)
        self._note([reading.error for reading in readings if reading.error])
        last, self._last = self._last, readings
        if len(readings) == len(taken) and all(map(operator.is_, readings, taken)):
            sink.publish(check_groups([]))
            return
        before, files = self._files, _after(self._files, readings)
        is_small = _size(before) + _size(files) <= CHECK_INLINE_MAX
        try:
            found = (
                _changes(before, files)
                if is_small
                else await self._context.offload.run(lambda: _changes(before, files))
            )
            sink.publish(found)
        except BadPublish as error:
            self._refused, self._taken = str(error), []
            self._log.error("the targets of all files were refused", err=str(error))
            return
        self._files, self._taken, self._refused = files, readings, ""
        if not is_small:
            # What was there before is let go of in a thread; a hundred thousand objects take their time.
            del found
            await self._context.offload.run(lambda: _let_go(before, last, taken))

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
            return [
                _read(name, last.get(name), self._files.get(name, _File()).groups, self._reads)
                for name in self._matching()
            ]

    def _matching(self) -> list[str]:
        """The files of all patterns; those of a directory that does not answer are the ones of before."""
        found: dict[str, None] = {}
        for pattern in self._patterns:
            try:
                self._matched[pattern] = self._reads.call(pattern, lambda one=pattern: names_like(one))  # type: ignore[misc] # mypy cannot infer it
            except OSError as error:
                self._log.error("Error listing files", path=pattern, err=str(error))
            found.update(dict.fromkeys(self._matched.get(pattern, ())))
        return list(found)

    def _watch(self) -> RustNotify | None:
        """A watcher of the directories that exist; None when there is none or the system gives none."""
        directories = sorted({str(Path(pattern).parent) for pattern in self._patterns})
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


def _size(files: Mapping[str, _File]) -> int:
    """How many groups there are and, where they are few, targets."""
    groups = sum(len(file.groups) for file in files.values())
    if groups > CHECK_INLINE_MAX:
        return groups
    return groups + sum(len(group.targets) for file in files.values() for group in file.groups)


def _after(files: Mapping[str, _File], readings: Sequence[_Read]) -> dict[str, _File]:
    """What is known after a reading: a bad file keeps what it had, one that is gone has nothing."""
    found = {}
    for reading in readings:
        if reading.error:
            found[reading.path] = replace(files.get(reading.path, _File()), error=reading.error)
        else:
            found[reading.path] = _File(reading.groups, reading.mtime_s)
    return found


def _changes(before: Mapping[str, _File], after: Mapping[str, _File]) -> CheckedGroups:
    """The groups that are new or others, and those that are gone, as empty ones. Raises BadPublish.

    Groups that neither had targets nor have any are left out: files may have any number of them.
    """
    old, new = _with_targets(before), _with_targets(after)
    gone = [TargetGroup(source) for source in old.keys() - new.keys()]
    return check_groups(gone + [group for source, group in new.items() if old.get(source) != group])


def _with_targets(files: Mapping[str, _File]) -> dict[str, TargetGroup]:
    return {group.source: group for file in files.values() for group in file.groups if group.targets}


def _let_go(files: dict[str, _File], *readings: list[_Read]) -> None:
    """Drops the last references to what was there before, a file at a time."""
    for each in readings:
        each.clear()
    while files:
        files.popitem()


def _read(name: str, last: _Read | None, known: Sequence[TargetGroup], reads: FileReads) -> _Read:
    """A reading of a file; the last one again when the file has not changed since.

    Groups that are `known` are the same objects as before.
    """
    stamp: tuple[int, ...] = ()
    try:
        path = Path(name)
        with os_errors(path):
            found = reads.call(name, path.stat)
        stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        if last is not None and last.stamp == stamp:
            return last
        changed_s = max(found.st_mtime, found.st_ctime)
        is_settled = WallClock().now_ms() / 1000 - changed_s >= SETTLED_S
        text = reads.call(name, lambda: target_text(path))
    except (UserError, OSError) as error:
        return _Read(name, 0.0, error=str(error))
    stamp = stamp if is_settled else ()
    try:
        with uncollected() if len(text) > LONG_CHARACTERS else nullcontext():
            groups = _groups(text, name, known)
    except (UserError, BadPublish) as error:
        return _Read(name, 0.0, error=str(error), stamp=stamp)
    return _Read(name, found.st_mtime, groups, stamp=stamp)


def _groups(text: str, name: str, known: Sequence[TargetGroup]) -> tuple[TargetGroup, ...]:
    """The groups of a text, each of which a target may have. Raises UserError, BadPublish."""
    groups, total = [], 0
    for index, group in enumerate(groups_of(text, name)):
        is_known = index < len(known) and known[index] == group
        if not is_known:
            merge_group(group)
        total += len(group.targets)
        if total > limits.TARGETS_PER_PUBLISH_MAX:
            raise TooManyTargets(f"more than {limits.TARGETS_PER_PUBLISH_MAX} targets in one publish")
        groups.append(known[index] if is_known else group)
    return tuple(groups)
