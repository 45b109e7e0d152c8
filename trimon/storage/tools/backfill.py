"""`tsdb create-blocks-from`: blocks from samples of any age, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from trimon.files import Files
from trimon.model.rows import SampleBatch
from trimon.storage.block.headblocks import Progress, no_progress, write_heads
from trimon.storage.block.meta import BlockMeta, BlockNames
from trimon.storage.head.acceptance import RefusalTally
from trimon.storage.head.head import Head
from trimon.storage.options import HOUR_MS


def create_blocks(
    files: Files,
    target: Path,
    batches: Iterable[SampleBatch],
    names: BlockNames,
    *,
    max_block_ms: int = 2 * HOUR_MS,
    progress: Progress = no_progress,
) -> Iterator[BlockMeta]:
    """Write the samples of all batches as aligned blocks; of equal series and time the first counts.

    Samples are held compressed in memory meanwhile. Raises OperatingError.
    """
    head = Head(0, 0)
    for batch in batches:
        series = head.create(batch.series, RefusalTally())[batch.series_index]
        known = series >= 0
        if known.any():
            times = batch.timestamps_ms[known].astype(np.int64)
            head.restore_loose(series[known], times, batch.values[known].astype(np.float64))
    head.publish()
    files.make_directory(target)
    length_ms = 2 * HOUR_MS
    while length_ms * 3 <= max_block_ms:
        length_ms *= 3
    yield from write_heads(files, target, [head.view], length_ms, names, None, progress)
