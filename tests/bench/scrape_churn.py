"""What reading a body costs when some of its series are new, gone or moved: microseconds a body of 1,000 series.

    python tests/bench/scrape_churn.py [--series 1000] [--rounds 200]

`layout` is the reading of lines alone, `session` the whole way from the answer to the row for storage.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import numpy as np

from tests.bench.exposition import bodies
from trimon.fetch.request import Response
from trimon.model.rows import Appended
from trimon.scrape.exposition.layout import BodyLayout
from trimon.scrape.exposition.textformat import TextFormat
from trimon.scrape.options import PoolOptions
from trimon.scrape.series_labels import SeriesLabels
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target, build_target

Change = Callable[[list[bytes], int, random.Random], list[bytes]]
WARM = 5


def share(lines: list[bytes], part: float) -> int:
    """How many sample lines a share is."""
    return round(part * sum(not line.startswith(b"#") for line in lines if line))


def unchanged(lines: list[bytes], _step: int, _generator: random.Random) -> list[bytes]:
    """Only numbers change."""
    return lines


def _places(lines: list[bytes], count: int, generator: random.Random) -> list[int]:
    samples = [index for index, line in enumerate(lines) if line and line[:1] != b"#"]
    return sorted(generator.sample(samples, count), reverse=True)


def renamed(part: float) -> Change:
    """A share of the series has another label at each scrape, in the old place."""

    def change(lines: list[bytes], step: int, generator: random.Random) -> list[bytes]:
        out = list(lines)
        for place in _places(lines, share(lines, part), generator):
            out[place] = out[place].replace(b"{", b'{pod="pod-%d-%d",' % (step, place), 1)
        return out

    return change


def added(part: float) -> Change:
    """New series appear in random places, and those of the scrape before are gone."""

    def change(lines: list[bytes], step: int, generator: random.Random) -> list[bytes]:
        out = list(lines)
        for place in _places(lines, share(lines, part), generator):
            out.insert(place, lines[place].replace(b"{", b'{pod="pod-%d-%d",' % (step, place), 1))
        return out

    return change


def added_at_once(part: float) -> Change:
    """The same, all of them in one place."""

    def change(lines: list[bytes], step: int, generator: random.Random) -> list[bytes]:
        place = _places(lines, 1, generator)[0]
        new = [
            lines[place].replace(b"{", b'{pod="pod-%d-%d",' % (step, index), 1)
            for index in range(share(lines, part))
        ]
        return [*lines[:place], *new, *lines[place:]]

    return change


def moved(part: float) -> Change:
    """A share of the lines goes to other places."""

    def change(lines: list[bytes], _step: int, generator: random.Random) -> list[bytes]:
        out = list(lines)
        taken = [out.pop(place) for place in _places(lines, share(lines, part), generator)]
        for line in taken:
            out.insert(generator.randrange(len(out)), line)
        return out

    return change


def shuffled(lines: list[bytes], _step: int, generator: random.Random) -> list[bytes]:
    """Every line is somewhere else."""
    out = list(lines)
    generator.shuffle(out)
    return out


CHANGES: dict[str, Change] = {
    "unchanged": unchanged,
    "1 % new, scattered": added(0.01),
    "1 % new, in one place": added_at_once(0.01),
    "1 % renamed": renamed(0.01),
    "1 % moved": moved(0.01),
    "10 % new, scattered": added(0.1),
    "10 % new, in one place": added_at_once(0.1),
    "10 % renamed": renamed(0.1),
    "10 % moved": moved(0.1),
    "all in another order": shuffled,
}


def sequence(series: int, rounds: int, change: Change) -> list[bytes]:
    """Successive bodies."""
    generator = random.Random(7)
    plain = bodies("service", series, WARM + rounds, 1)
    return [
        b"\n".join(change(body.rstrip(b"\n").split(b"\n"), step, generator)) + b"\n"
        for step, body in enumerate(plain)
    ]


def time_layout(sequence: list[bytes], target: Target, options: PoolOptions) -> float:
    """Median seconds of `BodyLayout.read`."""
    layout = BodyLayout(TextFormat(), SeriesLabels(target.labels, options))
    took = []
    for body in sequence:
        began = time.perf_counter()
        layout.read(body)
        took.append(time.perf_counter() - began)
    return statistics.median(took[WARM:])


def time_session(sequence: list[bytes], target: Target, options: PoolOptions) -> float:
    """Median seconds from answer to row, with storage's answer taken in."""
    session = ScrapeSession(target, options)
    took, columns = [], 0
    for step, body in enumerate(sequence):
        answer = Response(200, "OK", "text/plain; version=0.0.4", body, len(body))
        began = time.perf_counter()
        row = session.succeed(answer, step * 15_000, 0.01).row
        granted = np.arange(columns, columns + len(row.new_series), dtype=np.int32)
        columns += len(granted)
        session.granted(Appended(granted), step * 15_000)
        took.append(time.perf_counter() - began)
    return statistics.median(took[WARM:])


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=200)
    asked = parser.parse_args()
    options = PoolOptions("j")
    target = build_target({"__address__": "127.0.0.1:9100"}, options)
    assert isinstance(target, Target)
    gc.disable()
    base: dict[str, float] = {}
    print(
        f"| {asked.series} series | layout µs | ÷ unchanged | session µs | ÷ unchanged |\n|---|---|---|---|---|"
    )
    for name, change in CHANGES.items():
        texts = sequence(asked.series, asked.rounds, change)
        costs = {
            "layout": time_layout(texts, target, options),
            "session": time_session(texts, target, options),
        }
        base = base or costs
        cells = [
            f"{costs[kind] * 1e6:.0f} | {costs[kind] / base[kind]:.2f}" for kind in ("layout", "session")
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
