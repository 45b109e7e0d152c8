"""Changes of blocks and heads are checked and made in one turn: a deletion that comes meanwhile is never lost."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from tests.storage.block.test_blocks import fill, maintain
from tests.storage.conftest import EVER, START_MS, Bench, batch, series
from tests.support.upkeep import clean_tombstones
from trimon.errors import OperatingError
from trimon.model.matcher import Matcher, MatchType
from trimon.storage.metadata import MetadataBook
from trimon.storage.upkeep.changes import ChangedMeanwhile, StoreChanges
from trimon.storage.upkeep.jobs import CutJob

HOUR = 3_600_000
FIRST, SECOND = (Matcher("__name__", MatchType.EQUAL, name) for name in ("m0", "m1"))


def meanwhile(patch: pytest.MonkeyPatch, method: str, act: Callable[[], object]) -> None:
    """Does something right before a change is made, once: after everything that its job may have looked at."""
    original: Any = getattr(StoreChanges, method)

    def late(self: StoreChanges, *args: Any) -> Any:
        patch.setattr(StoreChanges, method, original)
        act()
        return original(self, *args)

    patch.setattr(StoreChanges, method, late)


def shown(bench: Bench) -> set[str]:
    return {dict(labels)["__name__"] for labels in bench.read()}


def test_a_deletion_while_tombstones_are_cleaned_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is deleted between the rewriting of a block and its installation is gone, also after a restart."""
    fill(bench, 5)
    maintain(bench)
    bench.store.delete_series((FIRST,), *EVER)
    meanwhile(monkeypatch, "replace_blocks", lambda: bench.store.delete_series((SECOND,), *EVER))
    clean_tombstones(bench.store)
    assert {"m2", "m3"} <= shown(bench)
    assert not {"m0", "m1"} & shown(bench)
    bench.reopen()
    assert not {"m0", "m1"} & shown(bench)
    assert all(meta.tombstones == 0 for meta, _ in bench.store.blocks())


def test_a_deletion_while_a_head_is_cut_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is deleted between the check of a cut and its installation is gone, also after a restart."""
    fill(bench, 3)
    (cut,) = [job for job in bench.store.plan(bench.clock.now_ms()) if isinstance(job, CutJob)]
    cut.run()
    meanwhile(monkeypatch, "install_cut", lambda: bench.store.delete_series((FIRST,), *EVER))
    with pytest.raises(ChangedMeanwhile):
        cut.install()
    assert "m0" not in shown(bench)
    maintain(bench)
    assert "m0" not in shown(bench)
    bench.reopen()
    assert "m0" not in shown(bench)
    assert {"m1", "m2"} <= shown(bench)


def test_a_block_that_was_not_installed_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut whose installation fails takes its block away, if need be with the next job: nothing deleted comes back."""
    fill(bench, 3)
    (cut,) = [job for job in bench.store.plan(bench.clock.now_ms()) if isinstance(job, CutJob)]
    cut.run()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(MetadataBook, "save", full)
        patch.setattr("trimon.storage.upkeep.changes.remove_block", full)
        with pytest.raises(OperatingError):
            cut.install()
    assert len(list(bench.options.path.glob("*/meta.json"))) == 1
    bench.store.delete_series((FIRST,), *EVER)
    maintain(bench)
    assert len(list(bench.options.path.glob("*/meta.json"))) == len(bench.store.blocks())
    bench.reopen()
    assert "m0" not in shown(bench)
    assert {"m1", "m2"} <= shown(bench)


def test_a_deletion_outlives_the_log_it_stands_in(bench: Bench) -> None:
    """In a head from before a restart it stands in the log of another one, which may be replaced or removed while empty."""
    bench.append(batch((series("a"), START_MS, 1.0), (series("b"), START_MS, 2.0)))
    left = {series("b"): [(START_MS, 2.0)]}
    bench.reopen()
    bench.store.delete_series((Matcher("__name__", MatchType.EQUAL, "a"),), *EVER)
    assert bench.read() == left
    # The head that has the note is empty, and gives way to one of another window.
    bench.clock.value_ms += 3 * HOUR
    bench.append(batch((series("c"), START_MS + 3 * HOUR, 3.0)))
    left[series("c")] = [(START_MS + 3 * HOUR, 3.0)]
    bench.reopen()
    assert bench.read() == left
    bench.store.delete_series((Matcher("__name__", MatchType.EQUAL, "c"),), *EVER)
    del left[series("c")]
    for _ in range(3):
        # Nothing comes: each start makes a log, and the next one removes it.
        bench.reopen()
        assert bench.read() == left
