"""A data directory of a Prometheus is never written to: ours lies in a folder inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimon.files import DiskFiles
from trimon.storage.prometheus.coexistence import own_directory, read_directory
from trimon.storage.wal.ends import IDENTITY

ULID = "01M8BPR103CCQE0HZ4TE64WEKC"


@pytest.mark.parametrize(
    "left_behind",
    ["wal/00000042", "chunks_head/000001", f"{ULID}/chunks/000001"],
    ids=["a log", "chunks of the head", "a block"],
)
def test_a_folder_of_our_own_lies_in_a_prometheus_directory(left_behind: str, tmp_path: Path) -> None:
    """Whatever Prometheus left, samples go beside it; and they stay there when it is removed."""
    place = tmp_path / left_behind
    place.parent.mkdir(parents=True)
    place.touch()
    assert own_directory(DiskFiles(), tmp_path) == tmp_path / "trimon"
    (tmp_path / "trimon").mkdir()
    place.unlink()
    assert own_directory(DiskFiles(), tmp_path) == tmp_path / "trimon"


def test_commands_read_ours_where_it_is_and_else_that_of_prometheus(tmp_path: Path) -> None:
    """Before anything of ours is there, a Prometheus' directory is read itself."""
    (tmp_path / "chunks_head").mkdir()
    assert read_directory(DiskFiles(), tmp_path) == tmp_path
    (tmp_path / "trimon").mkdir()
    assert read_directory(DiskFiles(), tmp_path) == tmp_path / "trimon"
    (tmp_path / IDENTITY).touch()
    assert read_directory(DiskFiles(), tmp_path) == tmp_path


@pytest.mark.parametrize(
    "ours",
    [f"{ULID}/data", "wal/00000001-000000", IDENTITY],
    ids=["a block", "a log", "the identity of a log"],
)
def test_our_own_directory_is_used_as_it_is(ours: str, tmp_path: Path) -> None:
    """A directory of ours, also one that holds only imported blocks, is no Prometheus'."""
    place = tmp_path / ours
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    assert own_directory(DiskFiles(), tmp_path) == tmp_path


def test_what_is_no_directory_is_left_to_who_opens_it(tmp_path: Path) -> None:
    """A path that is not there, or a file, is given back as it is."""
    assert own_directory(DiskFiles(), tmp_path / "none") == tmp_path / "none"
    (tmp_path / "file").touch()
    assert own_directory(DiskFiles(), tmp_path / "file") == tmp_path / "file"


def test_a_log_of_ours_wins_over_chunks_of_prometheus(tmp_path: Path) -> None:
    """A directory that both have written into goes on being ours: its samples must not vanish."""
    (tmp_path / "chunks_head").mkdir()
    (tmp_path / IDENTITY).touch()
    assert own_directory(DiskFiles(), tmp_path) == tmp_path
