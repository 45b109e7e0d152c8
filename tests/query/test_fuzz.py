"""No query ends in anything but a result, a UserError or a QueryError."""

from __future__ import annotations

from tests.query.fuzz_grammar import Generator, run
from tests.support.seeds import new_seed


def test_short_fuzz() -> None:
    """Two thousand random queries, well formed and damaged, all end as they may."""
    seed = new_seed()
    outcomes = run(2000, seed)
    assert sum(outcomes.values()) == 2000
    assert outcomes["result"] > 600, outcomes


def test_generator_repeats_itself() -> None:
    """The same seed writes the same queries: a failure can be seen again."""
    assert [Generator(5).query() for _ in range(3)] == [Generator(5).query() for _ in range(3)]
