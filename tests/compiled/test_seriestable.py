"""The loops of the hash table of series, against their twins."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.support.seeds import new_seed
from trimon.compiled import library
from trimon.storage.head.arena import Arena, Int32s, Int64s
from trimon.storage.head.seriestable import SeriesTable
from trimon.storage.symbols import mix

pytestmark = pytest.mark.skipif(bool(library.MISSING), reason=library.MISSING or "built")
PAIRS = 12


def hashes(*, weak: bool = False) -> Arena[np.uint64]:
    """Those of some pairs; weak ones let other runs have the same sum."""
    made: Arena[np.uint64] = Arena(np.uint64)
    made.extend(mix(np.arange(PAIRS, dtype=np.uint64)) if not weak else np.ones(PAIRS, np.uint64))
    return made


def runs_of(listed: list[list[int]]) -> tuple[Int32s, Int64s]:
    flat = np.array([number for run in listed for number in run], np.int32)
    return flat, np.array(list(map(len, listed)), np.int64)


def generated(source: random.Random) -> list[list[int]]:
    return [
        sorted(source.sample(range(PAIRS), source.randint(1, 4)))
        for _ in range(source.choice([0, 1, 9, 120]))
    ]


def test_runs_get_the_numbers_that_the_twin_gives() -> None:
    """Found, made, made twice in one call, refused beyond a limit: numbers and arrays are the twin's, over a growing table."""
    source = random.Random(new_seed())
    for _ in range(40):
        loops, twins = SeriesTable(hashes()), SeriesTable(hashes(), is_compiled=False)
        for _ in range(6):
            flat, lengths = runs_of(generated(source))
            limit = source.choice([0, 0, len(loops) + 5, 1])
            found, wanted = loops.add(flat, lengths, limit), twins.add(flat, lengths, limit)
            assert found.tolist() == wanted.tolist()
            asked = runs_of(generated(source))
            found_now, wanted_now = loops.find(*asked), twins.find(*asked)
            assert found_now[0].tolist() == wanted_now[0].tolist()
            assert found_now[1].tolist() == wanted_now[1].tolist()
            assert len(loops) == len(twins)
            assert loops.flat.view().tolist() == twins.flat.view().tolist()
            assert loops.offsets.view().tolist() == twins.offsets.view().tolist()


def test_series_of_one_hash_are_kept_apart() -> None:
    """Runs that are others but hash alike get numbers of their own, by the loops and by the twins."""
    source = random.Random(new_seed())
    for is_compiled in (True, False):
        table = SeriesTable(hashes(weak=True), is_compiled=is_compiled)
        known: dict[tuple[int, ...], int] = {}
        for _ in range(5):
            listed = generated(source)
            for run, number in zip(listed, table.add(*runs_of(listed)).tolist(), strict=True):
                assert known.setdefault(tuple(run), number) == number
        assert sorted(known.values()) == list(range(len(known))) == list(range(len(table)))


def test_a_number_that_is_no_pairs_is_refused() -> None:
    """The loop does not look beyond the pairs that there are."""
    for number in (PAIRS, -1):
        with pytest.raises(AssertionError):
            SeriesTable(hashes()).find(*runs_of([[number]]))
