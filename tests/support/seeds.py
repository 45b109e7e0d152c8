"""Where random tests begin: anew at each run, but in CI where they began before.

A run in CI judges one change: what it finds must come from that change, and be there again when somebody looks. So each
test has its own seed there, made of its name. Everywhere else a run explores; `TRIMON_TEST_SEED` repeats what it found.
hypothesis does the same by itself.
"""

from __future__ import annotations

import os
import random
import zlib
from typing import Final

SEEDS: Final = 10**9


def new_seed() -> int:
    """The seed of the test that runs; it is printed, which pytest shows where the test fails."""
    told = os.environ.get("TRIMON_TEST_SEED")
    if told is not None:
        seed = int(told)
    elif os.environ.get("CI"):
        test = os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0]
        seed = zlib.crc32(test.encode()) % SEEDS
    else:
        seed = random.SystemRandom().randrange(SEEDS)
    print(f"seed {seed}: TRIMON_TEST_SEED={seed} repeats it")
    return seed
