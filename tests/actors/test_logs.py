"""The journal of running queries and files that grow by lines."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trimon.actors.kernel.group import Group
from trimon.actors.kernel.spec import ChildSpec
from trimon.actors.logfiles import LineFiles, check_log, line_mailbox
from trimon.actors.querying.activequeries import ENTRY_BYTES, ActiveFile, left_over
from trimon.actors.querying.querylog import QueryLog, QueryRecord
from trimon.clock import StoppedClock
from trimon.errors import OperatingError
from trimon.log import LogBuffer
from trimon.offload import ThreadOffload


def test_what_is_not_finished_is_left_over(tmp_path: Path) -> None:
    """The file names the queries that began and did not end; a new run starts it over."""
    path = tmp_path / "queries.active"
    file = ActiveFile(path, 3)
    slots = [file.begin(f"query_{number}", 100 + number) for number in range(3)]
    assert path.stat().st_size == 1 + 3 * ENTRY_BYTES
    assert file.begin("one too many", 1) == -1
    file.end(-1)
    file.end(slots[1])
    assert sorted(left_over(path)) == [("query_0", 100), ("query_2", 102)]
    assert file.begin('with "quotes" and \n', 7) == slots[1]
    assert ('with "quotes" and \n', 7) in left_over(path)
    ActiveFile(path, 3)
    assert left_over(path) == []


@given(st.text(max_size=3000))
def test_long_queries_are_cut(query: str) -> None:
    """Whatever the query, its entry fits its slot, can be read again, and is a beginning of the query."""
    from trimon.actors.querying.activequeries import _entry

    entry = _entry(query, 1_700_000_000)
    assert len(entry) <= ENTRY_BYTES
    shown = json.loads(entry[:-1])["query"]
    assert query.startswith(shown)
    assert shown == query or len(entry) > ENTRY_BYTES - 12


@pytest.mark.parametrize(
    "data", [b"", b"[", b"\x00" * 5000, b'[{"query":"x', b'[{"query":"\xff","timestamp_sec":1}']
)
def test_a_damaged_journal_is_no_trouble(data: bytes, tmp_path: Path) -> None:
    """What cannot be read of a journal is left out; a journal that is not there is empty."""
    path = tmp_path / "queries.active"
    assert left_over(path) == []
    path.write_bytes(data)
    assert left_over(path) == []


def test_a_journal_that_cannot_be_made(tmp_path: Path) -> None:
    """A journal in a directory that is not there is an OperatingError with its path."""
    with pytest.raises(OperatingError, match=r"queries\.active"):
        ActiveFile(tmp_path / "no" / "queries.active", 1)


def entries(path: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@asynccontextmanager
async def line_files(log: LogBuffer) -> AsyncIterator[LineFiles]:
    box = line_mailbox()
    files = LineFiles(box, StoppedClock(1_700_000_000_123), ThreadOffload(1), log)
    root = Group("t", [ChildSpec("lines", lambda: files, box, drain_s=5)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run)
        await root.ready.wait()
        yield files
        await root.stop(within_s=5)


async def until_written(files: LineFiles, count: int) -> None:
    with trio.fail_after(5):
        while files.written + files.failures < count:  # noqa: ASYNC110 # the thread has no event to wait for
            await trio.sleep(0.005)


async def test_lines_come_in_order_and_all_at_the_end(tmp_path: Path) -> None:
    """Lines are written in order to the file they are for, the last ones before the writer ends."""
    async with line_files(LogBuffer()) as files:
        one, two = str(tmp_path / "one"), str(tmp_path / "two")
        files.configure([one, two, ""])
        for number in range(2_500):
            files.write(one if number % 2 else two, "INFO", "m", {"number": number})
        files.write(str(tmp_path / "unwanted"), "INFO", "m", {})
    lines = entries(one)
    assert [line["number"] for line in lines] == list(range(1, 2_500, 2))
    assert lines[0] == {"time": "2023-11-14T22:13:20.123Z", "level": "INFO", "msg": "m", "number": 1}
    assert len(entries(two)) == 1_250
    assert not (tmp_path / "unwanted").exists()


async def test_a_reload_opens_the_file_anew(tmp_path: Path) -> None:
    """A file that was renamed is left alone after a reload, and a new one is made at once."""
    async with line_files(LogBuffer()) as files:
        path = tmp_path / "log"
        files.configure([str(path)])
        files.write(str(path), "INFO", "before", {})
        await until_written(files, 1)
        path.rename(tmp_path / "log.1")
        files.configure([str(path)])
        files.write(str(path), "INFO", "after", {})
        await until_written(files, 2)
    assert json.loads((tmp_path / "log.1").read_text())["msg"] == "before"
    assert json.loads(path.read_text())["msg"] == "after"


async def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    """The reason is in the log once, lines are counted, and the other files go on."""
    log = LogBuffer()
    async with line_files(log) as files:
        bad, good = str(tmp_path / "no" / "log"), str(tmp_path / "good")
        files.configure([bad, good])
        for number in range(3):
            files.write(bad, "INFO", "m", {})
            files.write(good, "INFO", "m", {})
            await until_written(files, 2 * number + 2)
        assert (files.written, files.failures) == (3, 3)
        assert files.inspect()["errors"] == {bad: "No such file or directory"}
    assert [event for _, event, _ in log.entries] == ["a log file cannot be written"]


async def test_records_of_queries(tmp_path: Path) -> None:
    """A record has parameters, error and origin; without a file nothing is written."""
    async with line_files(LogBuffer()) as files:
        path = str(tmp_path / "log")
        files.configure([path])
        log = QueryLog(files)
        record = QueryRecord("up", 1_000, 61_000, 15_000, {"httpRequest": {"path": "/api/v1/query_range"}})
        log.add(record)
        log.path = path
        log.add(record, "boom")
    (line,) = entries(path)
    assert line["msg"] == "promql query logged"
    assert line["params"] == {
        "query": "up",
        "start": "1970-01-01T00:00:01.000Z",
        "end": "1970-01-01T00:01:01.000Z",
        "step": 15,
    }
    assert (line["error"], line["httpRequest"]) == ("boom", {"path": "/api/v1/query_range"})


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A log that is a pipe nobody reads cannot be opened, which is said at once; with a reader it can."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device or address"):
        check_log(str(path))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    check_log(str(path))
    os.close(reader)
