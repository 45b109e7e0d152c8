"""The page about templates says what is there."""

from __future__ import annotations

import re
from pathlib import Path

from trimon import limits
from trimon.templates.functions.function import Function
from trimon.templates.functions.table import FUNCTIONS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")


def _parameters(function: Function) -> str:
    count = len(function.parameters)
    if function.variadic is None:
        return str(count)
    return f"{count} or more" if count else "any"


def test_the_table_of_functions_is_complete() -> None:
    """Every function has its row, with the number of its parameters, in the order of the alphabet."""
    section = PAGE.split("## Functions")[1].split("## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \|$", section, re.MULTILINE)
    assert rows == [(name, _parameters(FUNCTIONS[name])) for name in sorted(FUNCTIONS)]


def test_bounds_are_those_of_the_program() -> None:
    """The numbers of the page are those of the limits."""
    for shown in (
        f"{limits.TEMPLATE_STEPS_MAX:,} steps; a query is {limits.TEMPLATE_STEPS_PER_QUERY}",
        f"{limits.TEMPLATE_BYTES_PER_STEP} bytes of text are one",
        f"{limits.TEMPLATE_OUTPUT_BYTES_MAX // 2**20} MiB of text",
        f"{limits.TEMPLATE_DEPTH_MAX} levels",
        f"{limits.TEMPLATE_TIME_MAX_S:g} s |",
    ):
        assert shown in PAGE
