"""The sample codec: bytes, encoding and decoding of pages of different shapes and kinds. Prints figures.

`python -m tests.bench.storage_codec`. Times are the best of several turns, CPU time of one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from trimon.storage.codec.matrix import LEVEL_FAST, LEVEL_SMALL, decode, encode

Matrix = npt.NDArray[np.float64]
SHAPES = ((128, 120), (136, 480), (11, 5760), (1100, 120))


def kinds(count: int, samples: int, random: np.random.Generator) -> dict[str, Matrix]:
    """One matrix of each kind of series."""
    size = (count, samples)
    start = np.floor(random.random((count, 1)) * 1e6)
    made = {
        "constant": np.repeat(start, samples, axis=1),
        "rare counter": start + np.cumsum(random.random(size) < 0.05, axis=1),
        "busy counter": start + np.cumsum(random.poisson(5, size), axis=1),
        "seconds, 2 decimals": np.round(np.cumsum(np.round(random.random(size) * 15, 2), axis=1), 2),
        "gauge of bytes": np.floor(random.normal(1e9, 1e7, size)),
        "sum of floats": np.cumsum(random.random(size), axis=1),
    }
    made["mixed"] = np.concatenate([part[: count // 6 + 1] for part in made.values()])[:count]
    return made


def best(work: Callable[[], object], turns: int) -> float:
    """The shortest CPU time of several turns, in seconds."""
    times: list[float] = []
    for _ in range(turns):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return min(times)


def main() -> None:
    """Run all of it."""
    random = np.random.default_rng(1)
    print(
        f"{'shape':>10} {'kind':<20} {'B/sample':>9} {'level 9':>8} {'encode ns':>10} {'decode ns':>10} {'one row us':>11}"
    )
    for count, samples in SHAPES:
        for name, matrix in kinds(count, samples, random).items():
            data, small = encode(matrix, LEVEL_FAST), encode(matrix, LEVEL_SMALL)
            encoding = best(partial(encode, matrix), 20) / matrix.size * 1e9
            decoding = best(partial(decode, data), 40) / matrix.size * 1e9
            one = best(partial(decode, data, np.array([count // 2])), 40) * 1e6
            sizes = f"{len(data) / matrix.size:9.3f} {len(small) / matrix.size:8.3f}"
            print(
                f"{count:>4}x{samples:<5} {name:<20} {sizes} {encoding:10.1f} {decoding:10.1f} {one:11.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
