"""Corners of PromQL that the reference scripts leave out, as scripts of our own."""

from __future__ import annotations

import math

import pytest

from trimon.query.budget import Budget
from trimon.query.conformance.memory import MemoryStore
from trimon.query.conformance.script import run_script
from trimon.query.engine import instant
from trimon.query.options import ALL_LANGUAGE_FEATURES, QueryOptions

OPTIONS = QueryOptions(features=ALL_LANGUAGE_FEATURES)

SCRIPTS = {
    "trims of two scalars are errors": """
eval instant at 1m 1 </ 2
  expect fail msg: operator "</" not allowed for Scalar operations

eval instant at 1m vector(1 >/ 2)
  expect fail msg: operator ">/" not allowed for Scalar operations
""",
    "delta says nothing of gauges where layouts differ": """
load 1m
  ec {{schema:-53 count:4 sum:5 buckets:[1 2 1] custom_values:[1 2]}} {{schema:0 count:5 sum:6 buckets:[2 2 1]}}

eval instant at 1m delta(ec[5m])
  expect warn regex: mix of histograms with exponential and custom buckets schemas for metric name "ec" .1:7.$
""",
    "factors that are no numbers": """
load 1m
  m 1 2 3

eval instant at 2m double_exponential_smoothing(m[5m], NaN, 0.5)
  expect fail msg: invalid smoothing factor. Expected: 0 < sf < 1, got: NaN

eval instant at 2m double_exponential_smoothing(m[5m], 0.5, -Inf)
  expect fail msg: invalid trend factor. Expected: 0 < tf < 1, got: -Inf
""",
    "clamping NaN by infinities": """
eval instant at 1m clamp_min(vector(NaN), Inf)
  {} Inf

eval instant at 1m clamp_max(vector(NaN), -Inf)
  {} -Inf

eval instant at 1m clamp(vector(NaN), 0, 1)
  {} NaN

eval instant at 1m clamp_min(vector(Inf), NaN)
  {} Inf
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_corner(name: str) -> None:
    """Each case of the script passes."""
    report = run_script(SCRIPTS[name])
    assert report.cases
    assert report.failed == 0, report.render()


def value_of(query: str) -> float:
    """The only value of an instant query without samples."""
    return float(instant(MemoryStore(), query, 60_000, OPTIONS, Budget(OPTIONS)).values[0, 0])


def test_clamping_knows_zeros_apart() -> None:
    """0 is larger than -0 for clamp, clamp_min and clamp_max."""
    assert math.copysign(1, value_of("clamp_max(vector(0), -0)")) == -1
    assert math.copysign(1, value_of("clamp_max(vector(-0), 0)")) == -1
    assert math.copysign(1, value_of("clamp_min(vector(-0), 0)")) == 1
    assert math.copysign(1, value_of("clamp_min(vector(-0), -0)")) == -1
    assert math.copysign(1, value_of("clamp(vector(-0), 0, 0)")) == 1
