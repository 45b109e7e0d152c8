"""Formatted printing as Go's fmt does it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.errors import UserError
from trimon.gotext.format import sprint, sprintf, sprintln
from trimon.gotext.values import (
    ANY_MAP,
    STRING_MAP,
    STRING_SLICE,
    UINT8,
    GoScalar,
    Interface,
    Slice,
    Table,
)

LABELS = Table(STRING_MAP, {"b": "2", "a": "1"})
CASES: list[tuple[str, tuple[Any, ...], str]] = [
    ("%d|%5d|%-5d|%05d|%+d|% d", (42, 42, 42, 42, 42, 42), "42|   42|42   |00042|+42| 42"),
    ("%x|%X|%#x|%o|%#o|%O|%b", (255, 255, 255, 8, 8, 8, 5), "ff|FF|0xff|10|010|0o10|101"),
    ("%c|%q|%U|%#U", (65, 65, 65, 65), "A|'A'|U+0041|U+0041 'A'"),
    ("%.3d|%8.3d|%-8.3d|%.0d", (7, 7, 7, 0), "007|     007|007     |"),
    (
        "%f|%.2f|%8.1f|%-8.1f|%+.1f|%08.2f",
        (1.5, 1.5, 1.5, 1.5, 1.5, -1.5),
        "1.500000|1.50|     1.5|1.5     |+1.5|-0001.50",
    ),
    ("%e|%E|%g|%G|%.3g", (1e6, 1e6, 1e6, 1e21, 1234.5), "1.000000e+06|1.000000E+06|1e+06|1E+21|1.23e+03"),
    ("%x|%b", (1.5, 1.0), "0x1.8p+00|4503599627370496p-52"),
    ("%#g|%#.0f|%#x", (1.0, 2.0, 1.0), "1.00000|2.|0x1.0000p+00"),
    (
        "%v|%5v|%08f|%+f|% f",
        (math.nan, math.inf, -math.inf, math.inf, math.nan),
        "NaN| +Inf|    -Inf|+Inf| NaN",
    ),
    ("%s|%10s|%-4s|%.2s", ("ab", "ab", "ab", "é☃x"), "ab|        ab|ab  |é☃"),
    (
        "%q|%+q|%#q|%x|% X|%#x",
        ('a"b', "é", "a", "hé", "hé", "h"),
        '"a\\"b"|"\\u00e9"|`a`|68c3a9|68 C3 A9|0x68',
    ),
    ("%t|%6t|%v", (True, False, True), "true| false|true"),
    ("%v|%s", (LABELS, LABELS), "map[a:1 b:2]|map[a:1 b:2]"),
    ("%d", (Table(STRING_MAP, {"a": "1"}),), "map[%!d(string=a):%!d(string=1)]"),
    ("%#v|%T", (LABELS, LABELS), 'map[string]string{"a":"1", "b":"2"}|map[string]string'),
    ("%v|%#v", (Slice(STRING_SLICE, ["x", "y"]), Slice(STRING_SLICE, [], nil=True)), "[x y]|[]string(nil)"),
    (
        "%v|%#v|%T|%x",
        (GoScalar(UINT8, 97), GoScalar(UINT8, 97), GoScalar(UINT8, 97), GoScalar(UINT8, 97)),
        "97|0x61|uint8|61",
    ),
    ("%v|%v|%T", (None, Interface(1.5), None), "<nil>|1.5|<nil>"),
    ("%v", (Table(ANY_MAP, {"arg0": Interface(None), "arg1": Interface(2)}),), "map[arg0:<nil> arg1:2]"),
    ("%v|%.1f", (1 + 2j, 1 - 2j), "(1+2i)|(1.0-2.0i)"),
    ("%d|%s|%z|%!|%", ("x", 1, 2, 3), "%!d(string=x)|%!s(int=1)|%!z(int=2)|%!!(int=3)|%!(NOVERB)"),
    ("%d %d", (1,), "1 %!d(MISSING)"),
    ("%d", (1, "a", None), "1%!(EXTRA string=a, <nil>)"),
    ("%[2]d %[1]d|%[3]*.[2]*[1]f", (1, 2, 3), "2 1|%!f(int= 01)"),
    ("%[5]d|%[x]d|%[1]", (1,), "%!d(BADINDEX)|%!d(BADINDEX)|%!(NOVERB)"),
    ("%*d|%-*d|%.*f|%*d", (5, 1, 4, 2, 1, 2.25, "x", 3), "    1|2   |2.2|%!(BADWIDTH)3"),
    ("%%|%5%", (), "%|%"),
]


@pytest.mark.parametrize(("template", "values", "want"), CASES, ids=[case[0] for case in CASES])
def test_verbs(template: str, values: tuple[Any, ...], want: str) -> None:
    """Verbs, flags, widths and mistakes print what Go prints."""
    assert sprintf(template, values, 10_000) == want


def test_printing_without_a_format() -> None:
    """Print puts blanks between values that are not strings, Println between all."""
    assert sprint(("a", "b", 1, 2, "c", 1.5, None), 100) == "ab1 2c1.5 <nil>"
    assert sprintln(("a", 1, True), 100) == "a 1 true\n"
    assert (sprint((), 100), sprintln((), 100)) == ("", "\n")


def test_the_length_is_bounded() -> None:
    """A text that would be longer than asked for is refused before it is made."""
    for template in ("%1000d", "%.1000f", "%-1000s"):
        with pytest.raises(UserError, match="formatted text is too long"):
            sprintf(template, (1.5 if "f" in template else 1,), 999)


@given(
    st.text("%[]*.+-# 0123456789vdsqxXobcUtTeEfgGp!z", max_size=30),
    st.lists(st.sampled_from([1, -2.5, "é", True, None, LABELS]), max_size=4),
)
def test_any_format_prints(template: str, values: list[Any]) -> None:
    """No format is refused but for its length."""
    try:
        assert isinstance(sprintf(template, values, 10_000), str)
    except UserError as error:
        assert error.message == "formatted text is too long"  # noqa: PT017 - most formats raise nothing
