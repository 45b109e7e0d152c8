"""Simulated worlds by hand: as many as asked for, on all cores, from one seed on.

python tests/attack/worlds.py [--seed N] [--rounds 100000]
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from tests.simulation.world import broken_story


def main() -> None:
    """Plays, and prints the story of each world that is broken."""
    asked = arguments(__doc__ or "", rounds=100_000).parse_args()
    began_s, broken = time.monotonic(), 0
    seeds = range(asked.seed, asked.seed + asked.rounds)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for story in pool.map(broken_story, seeds, chunksize=50):
            if story:
                broken += 1
                sys.stdout.write(f"{story}\n\n")
                sys.stdout.flush()
    took_s = time.monotonic() - began_s
    figure(f"{asked.rounds} simulated worlds from seed {asked.seed}", f"{broken} broken", f"{took_s:.0f} s")


if __name__ == "__main__":
    main()
