"""Start after a crash: the same two hours of samples in our log and in Prometheus', each started on its own.

`python -m tests.bench.storage_replay [series] [rows]`. Prometheus' log is written by this program in its format, with its
usual snappy compression; the time is from start to ready, CPU from process accounting.
"""

from __future__ import annotations

import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import cramjam
import numpy as np

from tests.bench.storage_world import World, timed, tree_bytes
from tests.support.ports import free_port
from trimon.files import DiskFiles
from trimon.model.labels import Labels
from trimon.storage.prometheus.varint import write_all
from trimon.storage.prometheus.wal import PAGE_BYTES, _crc
from trimon.storage.store import Store
from trimon.wire import put_varint

WIDTH = 1000
_HEAD = struct.Struct(">BHI")
_SEGMENT_BYTES = 128 * 2**20


class PrometheusLog:
    """Writes Prometheus' log."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self._path = path
        self._number = 0
        self._file = (path / "00000000").open("wb")
        self._used = 0

    def write(self, record: bytes) -> None:
        """One record, compressed, in as many fragments as pages ask for."""
        data = bytes(cramjam.snappy.compress_raw(record))
        if self._used + len(data) > _SEGMENT_BYTES:
            self._fill_page()
            self._file.close()
            self._number += 1
            self._file = (self._path / f"{self._number:08d}").open("wb")
            self._used = 0
        first = True
        while data or first:
            room = PAGE_BYTES - self._used % PAGE_BYTES - _HEAD.size
            if room <= 0:
                self._fill_page()
                continue
            part, data = data[:room], data[room:]
            kind = (1 if first else 4) if not data else (2 if first else 3)
            self._file.write(_HEAD.pack(kind | 8, len(part), _crc(part)) + part)
            self._used += _HEAD.size + len(part)
            first = False

    def _fill_page(self) -> None:
        left = -self._used % PAGE_BYTES
        self._file.write(bytes(left))
        self._used += left

    def close(self) -> None:
        """Pad and close."""
        self._fill_page()
        self._file.close()


def series_record(first: int, labels: tuple[Labels, ...]) -> bytes:
    """Series numbered from `first`."""
    out = [b"\x01"]
    for number, pairs in enumerate(labels, first):
        out += [number.to_bytes(8, "big"), put_varint(len(pairs))]
        for pair in pairs:
            for text in pair:
                encoded = text.encode()
                out += [put_varint(len(encoded)), encoded]
    return b"".join(out)


def samples_record(first: int, time_ms: int, values: np.ndarray) -> bytes:
    """Samples of consecutive series at one time."""
    steps, lengths = write_all(np.arange(len(values), dtype=np.uint64) * np.uint64(2))
    ends = np.cumsum(lengths + 9)
    out = np.zeros(int(ends[-1]), np.uint8)
    begins = ends - lengths - 9
    starts = np.cumsum(lengths) - lengths
    for place in range(int(lengths.max())):
        mine = lengths > place
        out[begins[mine] + place] = steps[starts[mine] + place]
    raw = values.astype(">f8").view(np.uint8).reshape(-1, 8)
    for place in range(8):
        out[ends - 8 + place] = raw[:, place]
    return b"".join((b"\x02", first.to_bytes(8, "big"), time_ms.to_bytes(8, "big"), out.tobytes()))


def start_prometheus(data: Path) -> tuple[float, float, float]:
    """Wall seconds to ready, CPU seconds, resident bytes."""
    config = data.parent / "prometheus.yml"
    config.write_text("global: {}\n")
    port = free_port()
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}", "--log.level=error"]
    began = time.perf_counter()
    process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"])
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2):
                    break
            except OSError:
                time.sleep(0.05)
        wall = time.perf_counter() - began
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        memory = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    finally:
        process.kill()
        process.wait()
    return wall, cpu, memory


def main(series: int = 50_000, rows: int = 480) -> None:
    """Write both logs, start both."""
    with tempfile.TemporaryDirectory(prefix="trimon-replay-") as directory:
        root = Path(directory)
        world = World(root / "ours", series // WIDTH, WIDTH)
        world.clock.value_ms = int(time.time() * 1000) - rows * 15_000
        world.begin()
        theirs = PrometheusLog(root / "theirs" / "wal")
        firsts = np.cumsum([1, *(len(target.labels) for target in world.targets)]).tolist()
        for target, first in zip(world.targets, firsts, strict=False):
            theirs.write(series_record(first, target.labels))
        with timed("writing both logs"):
            for _ in range(rows):
                world.scrape(1, 15_000)
                for target, first in zip(world.targets, firsts, strict=False):
                    theirs.write(samples_record(first, world.clock.now_ms(), target.values))
        theirs.close()
        world.store.close()
        samples = rows * world.series
        ours_bytes, theirs_bytes = tree_bytes(root / "ours" / "wal"), tree_bytes(root / "theirs" / "wal")
        print(f"log bytes a sample: ours {ours_bytes / samples:.3f}, Prometheus {theirs_bytes / samples:.3f}")
        before = resource.getrusage(resource.RUSAGE_SELF)
        began = time.perf_counter()
        store = Store.open(world.options, DiskFiles(), world.clock)
        opened = time.perf_counter() - began
        report = store.replay()
        wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert report.samples >= samples
        print(
            f"ours: appends from {opened * 1000:.0f} ms on, ready after "
            f"{wall:.2f} s, cpu {cpu:.2f} s, {cpu / samples * 1e9:.0f} ns a sample"
        )
        store.close()
        if shutil.which("prometheus"):
            wall_p, cpu_p, memory = start_prometheus(root / "theirs")
            print(
                f"Prometheus: ready after {wall_p:.2f} s, cpu {cpu_p:.2f} s, resident {memory / 2**20:.0f} MiB"
            )
            print(f"ratio: wall {wall / wall_p:.2f}, cpu {cpu / cpu_p:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
