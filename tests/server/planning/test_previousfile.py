"""The file of before beside the one that is watched, and what a start makes of both."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from trimon.errors import OperatingError
from trimon.files import DiskFiles
from trimon.server.planning.previousfile import SUFFIX, PreviousFile, finish_rollback


class Linkless(DiskFiles):
    """A file system without hard links."""

    def link(self, existing: Path, new: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(new))


class Full(DiskFiles):
    """A disk without room."""

    def write_atomic(self, path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration file that only its owner may read."""
    made = tmp_path / "prometheus.yml"
    made.write_bytes(b"before")
    made.chmod(0o600)
    return made


def beside(path: Path) -> list[Path]:
    return [each for each in path.parent.iterdir() if each != path]


@pytest.mark.parametrize("files", [DiskFiles(), Linkless()])
def test_a_start_brings_back_what_nobody_watches(path: Path, files: DiskFiles) -> None:
    """The process that watched has gone, so its lock has: the file of before is back with its mode, also without links."""
    previous = PreviousFile(path, b"after", files)
    previous.replace()
    assert path.read_bytes() == b"after"
    (kept,) = beside(path)
    assert kept.name.endswith(SUFFIX)
    assert kept.read_bytes() == b"before"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert finish_rollback(path, files) == ""
    assert path.read_bytes() == b"after", "it is watched still"
    previous._unlock()
    assert "the file of before is back" in finish_rollback(path, files)
    assert path.read_bytes() == b"before"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert beside(path) == []
    assert finish_rollback(path, files) == ""


def test_a_file_that_was_changed_since_then_stays(path: Path) -> None:
    """Somebody has mended the file before the start: it is taken as it is, and nothing is left beside."""
    previous = PreviousFile(path, b"after", DiskFiles())
    previous.replace()
    previous._unlock()
    path.write_bytes(b"mended")
    assert "taken as it is" in finish_rollback(path, DiskFiles())
    assert path.read_bytes() == b"mended"
    assert beside(path) == []


def test_a_process_that_is_killed_before_it_wrote_has_changed_nothing(path: Path) -> None:
    """The second name goes without a word."""
    previous = PreviousFile(path, b"before", DiskFiles())
    previous._keep(b"before")
    previous._unlock()
    assert finish_rollback(path, DiskFiles()) == ""
    assert path.read_bytes() == b"before"
    assert beside(path) == []


def test_what_cannot_be_written_leaves_nothing(path: Path) -> None:
    """Without room the file is as it was, and the error says which it is."""
    with pytest.raises(OperatingError, match=r"prometheus\.yml cannot be replaced: .*No space left"):
        PreviousFile(path, b"after", Full()).replace()
    assert path.read_bytes() == b"before"
    assert beside(path) == []


def test_other_files_are_left_alone(path: Path) -> None:
    """A name that only looks alike belongs to somebody else; a file that is not there has nothing beside it."""
    other = path.with_name(f"other.yml.0123456789abcdef{SUFFIX}")
    other.write_bytes(b"x")
    assert finish_rollback(path, DiskFiles()) == ""
    assert finish_rollback(path.with_name("none") / "no.yml", DiskFiles()) == ""
    assert other.exists()
