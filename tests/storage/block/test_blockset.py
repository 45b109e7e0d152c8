"""Which blocks of a directory are opened, set aside, or left alone."""

from __future__ import annotations

import zlib
from pathlib import Path

import orjson

from tests.storage.block.test_blocks import fill, maintain
from tests.storage.conftest import Bench, exact
from trimon.files import DiskFiles
from trimon.openfiles import ReadFile
from trimon.storage.block.meta import FORMAT
from trimon.storage.store import Store


def test_a_block_that_cannot_be_read_now_is_not_set_aside(bench: Bench) -> None:
    """A disk that fails, or a format of the future, leaves a block its name: with the trouble gone it is there again."""
    fill(bench, 2.5)
    maintain(bench)
    before = bench.read()
    _, path = bench.store.blocks()[0]

    class Failing(DiskFiles):
        def open(self, path: Path) -> ReadFile:
            if path.name == "index":
                raise OSError(24, "Too many open files")
            return super().open(path)

    bench.store.close()
    failing = Store.open(bench.options, Failing(), bench.clock)
    assert any("left out until the next start" in problem for problem in failing.problems)
    failing.close()
    meta = (path / "meta.json").read_bytes()
    document = orjson.loads(meta)
    document["trimon"]["format"] = FORMAT + 1
    del document["trimon"]["checksum"]
    document["trimon"]["checksum"] = zlib.crc32(orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
    (path / "meta.json").write_bytes(orjson.dumps(document))
    newer = Store.open(bench.options, DiskFiles(), bench.clock)
    assert any(f"format {FORMAT + 1}, known are 1, 2, {FORMAT}" in problem for problem in newer.problems)
    newer.close()
    (path / "meta.json").write_bytes(meta)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    assert exact(bench.read()) == exact(before)
