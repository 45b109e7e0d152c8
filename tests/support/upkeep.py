"""Maintenance of a store without its actors."""

from __future__ import annotations

from trimon.storage.store import Store
from trimon.storage.upkeep.changes import ChangedMeanwhile


def clean_tombstones(store: Store) -> None:
    """Rewrite every block that has deletions; one that changes meanwhile again."""
    while job := store.clean_job():
        job.run()
        try:
            job.install()
        except ChangedMeanwhile:
            continue
