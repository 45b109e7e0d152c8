"""Reading what stands under the name of a file: nothing of it may keep its reader for ever."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from trimon import limits
from trimon.config.filetext import read_text
from trimon.errors import UserError
from trimon.fetch.request import FetchError
from trimon.openfiles import OddFileError, read_regular, read_start
from trimon.peers.files import read_secret

KMSG = Path("/proc/kmsg")


def would_block(descriptor: int, size_bytes: int) -> bytes:
    """As a kernel log with nothing new, when it is read without waiting."""
    raise BlockingIOError


def test_a_file_with_nothing_to_read_now_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regular file by its look whose read would wait, as /proc/kmsg, is an error at once, of whatever kind it is."""
    path = tmp_path / "log"
    path.write_bytes(b"")
    monkeypatch.setattr("trimon.openfiles.os.read", would_block)
    with pytest.raises(OddFileError, match="keeps its reader waiting"):
        read_regular(path)
    with pytest.raises(OddFileError, match="keeps its reader waiting"):
        read_start(path, 10, 10.0)
    with pytest.raises(UserError, match="log: it keeps its reader waiting, as no regular file does"):
        read_text(path, 10)
    with pytest.raises(FetchError, match=r"unable to read file .*: it keeps its reader waiting"):
        read_secret(str(path))


@pytest.mark.skipif(not os.access(KMSG, os.R_OK), reason="this user may not read the kernel's log")
def test_the_log_of_the_kernel(tmp_path: Path) -> None:
    """A link to /proc/kmsg comes back at once, with what the log has or an error."""
    link = tmp_path / "rules.yml"
    link.symlink_to(KMSG)
    began_s = time.monotonic()
    with pytest.raises(UserError):
        read_text(link, 1 << 24)
    assert time.monotonic() - began_s < 2


def test_a_pipe_is_read_while_it_is_fed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration may come from a pipe, also from one that somebody opens later; one that nobody feeds is an error."""
    path = tmp_path / "pipe.yml"
    os.mkfifo(path)

    def feed() -> None:
        time.sleep(0.05)
        with path.open("wb") as file:
            for _ in range(3):
                file.write(b"x" * 50_000)
                file.flush()
                time.sleep(0.02)

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert len(read_text(path, 200_000)) == 150_000
    feeder.join()
    monkeypatch.setattr(limits, "PIPE_READ_S", 0.05)
    with pytest.raises(UserError, match=r"nothing came within 0.05 s"):
        read_text(path, 100)


def test_what_has_no_size_before_it_is_read_is_bounded() -> None:
    """Files that the kernel makes up say that they are empty; no more than the most is taken of them."""
    assert Path("/proc/self/maps").stat().st_size == 0
    with pytest.raises(OddFileError, match="more than 100 bytes"):
        read_regular(Path("/proc/self/maps"), 100)
    assert len(read_start(Path("/dev/zero"), 1000, 1.0)) == 1000
