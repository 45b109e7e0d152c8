"""Powers: the bits of Prometheus for whole exponents, and the same bits for one value and for many."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.query.powers import power

PLAIN = QueryOptions()
# What a Prometheus 3.14 answers.
ANSWERS = [
    ("0.1^2", "0.010000000000000002"),
    ("vector(0.1)^2", "0.010000000000000002"),
    ("1.1^365", "1283305580313384.5"),
    ("3^-7", "0.0004572473708276177"),
    ("2^0.5", "1.4142135623730951"),
    ("2^-0.5", "0.7071067811865475"),
    ("(-8)^3", "-512"),
    ("(-2)^-1074", "5e-324"),
    ("(-2)^-1075", "-0"),
    ("10^308", "1.0000000000000006e+308"),
    ("1.7^1e18", "+Inf"),
    ("(-0)^-3", "-Inf"),
    ("(-1)^Inf", "1"),
    ("NaN^0", "1"),
    ("(-8)^0.5", "NaN"),
]


def one_power(base: float, exponent: int) -> float:
    """One number after the other, mantissa and binary exponent apart."""
    mantissa, binary = math.frexp(base)
    product, shift, left = 1.0, 0, abs(exponent)
    while left:
        if abs(binary) > 4096:
            shift += binary
            break
        if left % 2:
            product, shift = product * mantissa, shift + binary
        mantissa, binary = mantissa * mantissa, 2 * binary
        if abs(mantissa) < 0.5:
            mantissa, binary = 2 * mantissa, binary - 1
        left //= 2
    if exponent < 0:
        product, shift = 1 / product, -shift
    try:
        return math.ldexp(product, shift)
    except OverflowError:
        return math.copysign(math.inf, product)


def bits(value: float) -> bytes:
    """The bits of a float; all NaN are one."""
    return np.float64(math.nan if math.isnan(value) else value).tobytes()


NUMBERS = st.floats(allow_nan=False, allow_infinity=False).filter(bool) | st.floats(-3, 3).filter(bool)
WHOLE = st.integers(-40, 40) | st.integers(-1200, 1200) | st.integers(-(2**53), 2**53)


@given(st.lists(st.tuples(NUMBERS, WHOLE), min_size=1, max_size=9))
@example([(5e-324, 2), (-2.0, -1074), (1.0000000000000002, 2**53), (1e-160, 2), (-1e160, -2)])
def test_whole_exponents_multiply_by_squares(pairs: list[tuple[float, int]]) -> None:
    """Whole exponents give the bits of the loop, alone, all with one exponent, and each with its own."""
    bases = np.array([base for base, _ in pairs])
    exponents = np.array([exponent for _, exponent in pairs], np.float64)
    expected = [bits(one_power(base, exponent)) for base, exponent in pairs]
    assert [bits(value) for value in power(bases, exponents)] == expected
    assert [bits(float(power(base, exponent))) for base, exponent in pairs] == expected
    first = pairs[0][1]
    assert [bits(value) for value in power(bases, np.float64(first))] == [
        bits(one_power(base, first)) for base in bases.tolist()
    ]


@given(
    st.lists(
        st.tuples(st.floats(), st.floats() | st.sampled_from([0.5, -0.5, 2.0, 2.5, 2.0**63])), min_size=1
    )
)
def test_one_value_and_many_give_the_same(pairs: list[tuple[float, float]]) -> None:
    """However many there are and however they lie in memory, the bits are the same."""
    bases, exponents = (np.array(side) for side in zip(*pairs, strict=True))
    alone = [bits(float(power(base, exponent))) for base, exponent in pairs]
    assert [bits(value) for value in power(bases, exponents)] == alone
    assert [bits(value) for value in power(np.repeat(bases, 3)[::3], np.repeat(exponents, 2)[::2])] == alone


@given(
    st.floats(),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, 3.0, -3.0, 4.0, 0.5, -0.5, 2.0**64]),
)
@example(-0.0, -3.0)
@example(-math.inf, -3.0)
@example(-math.inf, 0.5)
@example(-1.0, math.inf)
def test_special_values_are_those_of_c(base: float, exponent: float) -> None:
    """Zeros, infinities and NaN on either side give what C's pow gives."""
    try:
        expected = math.pow(base, exponent)
    except ValueError:
        odd = exponent % 2 == 1 and math.copysign(1, base) < 0
        expected = math.nan if base else math.copysign(math.inf, -1 if odd else 1)
    except OverflowError:
        expected = math.copysign(math.inf, base) if exponent % 2 == 1 else math.inf
    found = float(power(base, exponent))
    if not expected or not math.isfinite(expected) or math.isinf(found):
        assert bits(found) == bits(expected)
    else:
        assert found == pytest.approx(expected, rel=1e-14, abs=5e-324)


@pytest.mark.parametrize(("query", "answer"), ANSWERS)
def test_answers(query: str, answer: str) -> None:
    """Instant queries answer as Prometheus does, and each step of a range does as the instant query."""
    at_once = float(instant(MemoryStore(), query, 60_000, PLAIN, Budget(PLAIN)).values[0, 0])
    assert bits(at_once) == bits(float(answer))
    stepped = range_(MemoryStore(), query, 0, 600_000, 60_000, PLAIN, Budget(PLAIN)).values
    assert {bits(value) for value in stepped.ravel().tolist()} == {bits(at_once)}
