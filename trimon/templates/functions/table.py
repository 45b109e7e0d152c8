"""The table of functions, in one place: what alerts may call, what consoles may call, what escapes for HTML."""

from __future__ import annotations

from typing import Final

from trimon.templates.functions import collections, logic, numbers, printing, queries, texts
from trimon.templates.functions.function import Function

FUNCTIONS: Final[dict[str, Function]] = {
    function.name: function
    for family in (collections, logic, numbers, printing, queries, texts)
    for function in family.FUNCTIONS
}
CONSOLE_FUNCTIONS: Final[dict[str, Function]] = FUNCTIONS | {
    function.name: function for function in queries.CONSOLE_FUNCTIONS
}
