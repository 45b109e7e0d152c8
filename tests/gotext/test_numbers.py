"""Numbers as Go's strconv reads them."""

from __future__ import annotations

import math

import pytest

from trimon.errors import UserError
from trimon.gotext.floats import format_label
from trimon.gotext.numbers import parse_go_float, parse_integer


def test_integers_by_their_prefix() -> None:
    """A prefix tells the base, a leading zero octal; underscores stand between digits."""
    read = {
        "0": 0,
        "-0": 0,
        "17": 17,
        "017": 15,
        "0o17": 15,
        "0x1F": 31,
        "0b11": 3,
        "1_000": 1000,
        "0x_f": 15,
        "+5": 5,
    }
    assert {text: parse_integer(text) for text in read} == read
    for text in ("", "08", "1_", "_1", "1__0", "0x", "1.0", "1e3", "٣", "9" * 1000):
        assert parse_integer(text) is None


def test_floats() -> None:
    """Decimal and hexadecimal floats, infinities, underscores."""
    read = {
        "1.5": 1.5,
        ".5": 0.5,
        "5.": 5.0,
        "1e3": 1000.0,
        "0x1p4": 16.0,
        "0x.8p1": 1.0,
        "1_0.5": 10.5,
        "-Infinity": -math.inf,
        "1e-400": 0.0,
    }
    assert {text: parse_go_float(text) for text in read} == read
    assert math.isnan(parse_go_float("NaN"))
    for text in ("", " 1", "1_", "1__0", "0x10", "1h", "e5", "++1", "٣"):
        with pytest.raises(UserError, match=r"^strconv.ParseFloat: parsing .*: invalid syntax$"):
            parse_go_float(text)
    for text in ("1e400", "-0x1p2000"):
        with pytest.raises(UserError, match=r"value out of range$"):
            parse_go_float(text)


def test_bounds_in_labels() -> None:
    """A bound has a fraction or an exponent; a zero has no sign."""
    shown = {1.0: "1.0", 0.5: "0.5", 1e6: "1e+06", math.inf: "+Inf", -2.0: "-2.0"}
    assert {value: format_label(value) for value in shown} == shown
    assert [format_label(value) for value in (0.0, -0.0)] == ["0.0", "0.0"]
