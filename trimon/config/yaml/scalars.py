"""What a plain scalar of YAML 1.1 is: its type told from its text."""

from __future__ import annotations

import re
from typing import Final

NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
BOOL: Final = {
    form: truth
    for truth, words in ((True, ("y", "yes", "on", "true")), (False, ("n", "no", "off", "false")))
    for word in words
    for form in (word, word.capitalize(), word.upper())
}
INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F_]+|0b[01_]+|0o?[0-7_]+|[1-9][0-9_]*|0)", re.ASCII)
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*+\.?+[0-9_]*+|\.[0-9][0-9_]*+)(?:[eE][-+]?[0-9]++)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    re.ASCII,
)
# What Prometheus' writer quotes besides: numbers to the base 60 and times.
_OTHER_TYPES = re.compile(
    r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ]+[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]+)?(?:\s*(?:Z|[-+][0-9:]+))?)?",
    re.ASCII,
)


def is_plain_text(text: str) -> bool:
    """Whether a text without quotes reads as text."""
    return type_of(text) == "str" and not _OTHER_TYPES.fullmatch(text)


def type_of(text: str) -> str:
    """The short tag of a plain scalar, as YAML 1.1 says."""
    if text in NULL:
        return "null"
    if text in BOOL:
        return "bool"
    if INT.fullmatch(text):
        return "int"
    if _FLOAT.fullmatch(text):
        return "float"
    return "merge" if text == "<<" else "str"
