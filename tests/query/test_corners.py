"""Corners of PromQL that the reference scripts leave out, as scripts of our own."""

from __future__ import annotations

import math

import pytest

from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.labels import labels_of
from trimon.query.conformance.memory import MemoryStore
from trimon.query.conformance.script import run_script
from trimon.query.engine import instant, parse, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, DELAYED_NAME_REMOVAL, QueryOptions

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
    "rounding errors of counts, up and down, are no observations": """
load 1m
  up_bucket{le="1"} 10
  up_bucket{le="2"} 10.000000000000002
  up_bucket{le="+Inf"} 10.000000000000002
  down_bucket{le="1"} 10
  down_bucket{le="2"} 9.999999999999998
  down_bucket{le="+Inf"} 20

eval instant at 0 histogram_quantile(1, up_bucket)
  expect no_info
  {} 1

eval instant at 0 histogram_quantile(0.5, down_bucket)
  expect no_info
  {} 1
""",
    "a quantile that is none needs no counts": """
load 1m
  b_bucket{le="0.1"} 3
  b_bucket{le="1"} 2
  b_bucket{le="+Inf"} 4

eval instant at 0 histogram_quantile(-1, b_bucket)
  expect no_info
  expect warn
  {} -Inf

eval instant at 0 histogram_quantile(NaN, b_bucket)
  expect no_info
  expect warn
  {} NaN
""",
    "fractions take counts as they are": """
load 1m
  b_bucket{le="0.1"} 3 1
  b_bucket{le="0.5"} _ 3
  b_bucket{le="1"} 2 5
  b_bucket{le="+Inf"} 4 10
  noinf_bucket{le="1"} 1 1
  noinf_bucket{le="+Inf"} _ 2

eval range from 0 to 1m step 1m histogram_fraction(0, 1, b_bucket)
  {} 0.5 0.5

eval range from 0 to 1m step 1m histogram_fraction(-Inf, 0.3, b_bucket)
  {} 0.6944444444444444 0.2

eval range from 0 to 1m step 1m histogram_fraction(0, 1, noinf_bucket)
  {} NaN 0.5
""",
    "what was repaired is told": """
load 1m
  b_bucket{le="0.1",i="1"} 3 3 _
  b_bucket{le="1",i="1"} 2 4 _
  b_bucket{le="2",i="1"} 2.5 5 _
  b_bucket{le="+Inf",i="1"} 4 6 _
  b_bucket{le="10",i="2"} _ _ 300
  b_bucket{le="+Inf",i="2"} _ _ 45

eval range from 0 to 2m step 1m histogram_quantiles(b_bucket, "q", 0.5, 2, 0.1)
  expect info regex: monotonicity .see http.*histogram_quantile. for metric name "b_bucket", from buckets 0.1|1 to
  expect info regex: , from buckets 1 to \\+Inf, with a max diff of 2.6e\\+02, over 2 samples from 1970-01-01T00:00:00Z to
  expect info regex: to 1970-01-01T00:02:00Z .1:21.$
  {i="1", q="0.5"} 0.06666666666666667 0.1 0.1
  {i="1", q="2.0"} Inf Inf Inf
  {i="1", q="0.1"} 0.013333333333333334 0.02 0.02
  {i="2", q="0.5"} _ _ 5
  {i="2", q="2.0"} _ _ Inf
  {i="2", q="0.1"} _ _ 1
""",
    "names of matched series": """
load 1m
  h{a="1"} {{schema:0 count:4 sum:5 buckets:[1 2 1]}}
  limit{a="1"} 1
  x{a="1"} 1
  y{a="1"} 5

eval instant at 0 histogram_count(h </ limit)
  {a="1"} 1

eval instant at 0 count by (__name__) (h </ limit)
  h 1

eval instant at 0 count by (__name__) (h >/ on (a) group_left limit)
  h 1

eval instant at 0 x < bool on (a) group_left (__name__) y
  {a="1"} 1

eval instant at 0 label_replace(x < bool y, "name", "$1", "__name__", "(.*)")
  {a="1", name="x"} 1

eval instant at 0 label_replace(x + y, "name", "$1", "__name__", "(.*)")
  {a="1"} 6
""",
    "parameters of windows count where there are samples": """
load 1m
  m 1 2 3 _ _ _ _ 4 5

eval range from 4m to 6m step 1m quantile_over_time(2, m[1m])
  expect no_warn

eval range from 0 to 6m step 1m quantile_over_time(3 - time() / 60, m[1m])
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got 2 (1:20)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got 3 (1:20)
  {} Inf Inf 3

eval range from 4m to 6m step 1m double_exponential_smoothing(m[1m], 2, 0.5)

eval range from 0 to 2m step 1m double_exponential_smoothing(m[1m], 2, 0.5)
  expect fail msg: invalid smoothing factor. Expected: 0 < sf < 1, got: 2.000000
""",
    "a single float among histograms": """
load 1m
  m 1 {{count:1 sum:1 buckets:[1]}} {{count:1 sum:1 buckets:[1]}}
  h {{count:1 sum:1 buckets:[1]}}x2

eval instant at 2m deriv(m[3m])
  expect info msg: PromQL info: ignored histograms in a range containing both floats and histograms for metric name "m" (1:7)

eval instant at 2m predict_linear(m[3m], 60)
  expect info regex: ignored histograms .* "m"

eval instant at 2m double_exponential_smoothing(m[3m], 0.5, 0.5)
  expect info regex: ignored histograms .* "m"

eval instant at 2m deriv(m[2m])
  expect no_info

eval instant at 2m deriv(h[3m])
  expect no_info
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


def test_scalar_keeps_the_sign_of_zero() -> None:
    """The scalar of a vector of -0 is -0, alone and where another series has no sample."""
    assert value_of("1 / scalar(vector(-0))") == -math.inf
    assert value_of("1 / scalar(vector(0))") == math.inf
    store = MemoryStore()
    store.append(labels_of({"__name__": "m", "a": "1"}), 0, 1.0)
    store.append(labels_of({"__name__": "m", "a": "2"}), 600_000, -0.0)
    stepped = range_(store, "1 / scalar(m)", 0, 600_000, 600_000, OPTIONS, Budget(OPTIONS))
    assert stepped.values.tolist() == [[1.0, -math.inf]]


def test_names_are_told_as_long_as_they_are_known() -> None:
    """Without delayed removal of names the infos of histogram_quantile do not name the metric."""
    store = MemoryStore()
    for le, count in (("0.1", 3.0), ("1", 2.0), ("+Inf", 4.0)):
        store.append(labels_of({"__name__": "b_bucket", "le": le}), 0, count)
    native = FloatHistogram(0, count=10.0, sum=math.nan, positive=Buckets.of(0, (2.0, 2.0)))
    store.append(labels_of({"__name__": "n"}), 0, native)
    at_once = QueryOptions(features=ALL_LANGUAGE_FEATURES - {DELAYED_NAME_REMOVAL})
    for query in (
        "histogram_quantile(0.5, b_bucket)",
        "histogram_quantile(0.1, n)",
        "histogram_fraction(0, 1, n)",
    ):
        (known,) = instant(store, query, 0, OPTIONS, Budget(OPTIONS)).infos
        (gone,) = instant(store, query, 0, at_once, Budget(at_once)).infos
        assert "for metric name" in known
        assert gone == known.replace(' for metric name "b_bucket"', "").replace(' for metric name "n"', "")


def test_bool_drops_an_included_name() -> None:
    """Without delayed removal of names, too, a comparison with bool has no name, not even one of group_left."""
    store = MemoryStore()
    store.append(labels_of({"__name__": "x", "a": "1"}), 0, 1.0)
    store.append(labels_of({"__name__": "y", "a": "1"}), 0, 5.0)
    at_once = QueryOptions(features=ALL_LANGUAGE_FEATURES - {DELAYED_NAME_REMOVAL})
    query = "x < bool on (a) group_left (__name__) y"
    assert instant(store, query, 0, at_once, Budget(at_once)).labels.labels(0) == (("a", "1"),)


def test_repairs_are_told_plainly_without_a_text() -> None:
    """A query given as a tree has no positions, and its infos no details."""
    store = MemoryStore()
    for le, count in (("0.1", 3.0), ("1", 2.0), ("+Inf", 4.0)):
        store.append(labels_of({"__name__": "b_bucket", "le": le}), 0, count)
    tree = parse("histogram_quantile(0.5, b_bucket)", OPTIONS)
    (info,) = instant(store, tree, 0, OPTIONS, Budget(OPTIONS)).infos
    assert info.endswith('#histogram_quantile) for metric name "b_bucket"')
