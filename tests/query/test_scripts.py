"""Scripts of our own in the language of PromQL's test scripts: run in every clone, whatever lies beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trimon.query.conformance.script import run_script
from trimon.query.language.signatures import FUNCTIONS
from trimon.query.language.tokens import AGGREGATORS, COMPARISONS, SET_OPERATORS, TRIMS

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.test"))
QUERIES = [
    line.strip() for path in SCRIPTS for line in path.read_text().splitlines() if line.startswith("eval ")
]
ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "^", "atan2"})


@pytest.mark.parametrize("columns", [False, True], ids=["objects", "columns"])
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path, columns: bool) -> None:
    """Every case of a script passes, with histograms as objects and as columns."""
    report = run_script(path.read_text(), columns=columns)
    assert report.passed == len(report.cases), report.render()
    assert report.passed >= 8


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_called(name: str) -> None:
    """Each function of the table occurs in a query of a script."""
    assert any(re.search(rf"(?<![a-z_]){name} ?\(", query) for query in QUERIES)


@pytest.mark.parametrize("name", sorted(AGGREGATORS))
def test_every_aggregation_is_used(name: str) -> None:
    """Each aggregation occurs in a query of a script, by itself or with a clause."""
    assert any(re.search(rf"(?<![a-z_]){name}( (by|without) \(.*?\))? ?\(", query) for query in QUERIES)


@pytest.mark.parametrize("name", sorted(ARITHMETIC | COMPARISONS | SET_OPERATORS | TRIMS))
def test_every_operator_is_used(name: str) -> None:
    """Each binary operator occurs in a query of a script."""
    assert any(f" {name} " in query for query in QUERIES)
