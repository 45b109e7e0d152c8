"""The reference scripts: every case must pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.promql_data import PROMQL_SCRIPTS
from trimon.errors import UserError
from trimon.query.conformance.script import almost_equal, run_script

SCRIPTS = sorted(PROMQL_SCRIPTS.glob("*.test")) if PROMQL_SCRIPTS.is_dir() else []


@pytest.mark.skipif(not SCRIPTS, reason="the reference scripts are not beside the repository")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_reference_script(path: Path) -> None:
    """Every case of a reference script passes."""
    report = run_script(path.read_text())
    assert report.passed == len(report.cases), report.render()
    assert report.passed > 0


def test_a_wrong_expectation_fails() -> None:
    """The runner is not content with anything: a wrong value, a missing and an unexpected series all fail."""
    script = """
load 1m
  m{a="1"} 1 2 3
  m{a="2"} 4 5 6

eval instant at 1m m
  m{a="1"} 2
  m{a="2"} 5

eval instant at 1m m
  m{a="1"} 2
  m{a="2"} 5.1

eval instant at 1m m
  m{a="1"} 2

eval instant at 1m m{a="1"}
  m{a="1"} 2
  m{a="2"} 5

eval range from 0 to 2m step 1m m{a="1"}
  m{a="1"} 1 _ 3

eval instant at 1m m
  expect fail

eval instant at 1m rate(m[2m])
  expect no_info
  {a="1"} 0.016666666666666666
  {a="2"} 0.016666666666666666
"""
    report = run_script(script)
    assert [case.status for case in report.cases] == ["passed", *["failed"] * 6]
    assert report.render().endswith("1 passed, 6 failed")


def test_a_script_error_has_its_line() -> None:
    """A script that is wrong in itself is an error with the line, not a failed case."""
    with pytest.raises(UserError, match="line 3"):
        run_script("clear\n\nfrobnicate everything\n")


def test_almost_equal() -> None:
    """Numbers are equal to six digits; NaN equals NaN, zero only zero."""
    assert almost_equal(1.0, 1.0000001)
    assert not almost_equal(1.0, 1.00001)
    assert almost_equal(float("nan"), float("nan"))
    assert not almost_equal(0.0, 1e-12)
    assert almost_equal(float("inf"), float("inf"))
    assert not almost_equal(float("inf"), float("-inf"))


def test_a_large_reset_takes_no_digits_from_later_windows() -> None:
    """With start timestamps too, what resets lost is added in Prometheus' order, and a large one touches no other window."""
    script = """
load 1m
  m@st _ _ -1mx20
  m    1e18 1e18 0+60x20

eval range from 4m to 20m step 16m increase(m[5m1ms])
  {} 235.00078333333332 4800.016
"""
    report = run_script(script)
    assert [case.status for case in report.cases] == ["passed"], report.render()
