"""The reference scripts: every case must pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.promql_data import PROMQL_SCRIPTS
from trimon.errors import UserError
from trimon.query.conformance.histograms import almost_equal
from trimon.query.conformance.script import run_script

SCRIPTS = sorted(PROMQL_SCRIPTS.glob("*.test")) if PROMQL_SCRIPTS.is_dir() else []


@pytest.mark.skipif(not SCRIPTS, reason="the reference scripts are not beside the repository")
@pytest.mark.parametrize("columns", [False, True], ids=["objects", "columns"])
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_reference_script(path: Path, columns: bool) -> None:
    """Every case of a reference script passes, with histograms as objects and as columns."""
    report = run_script(path.read_text(), columns=columns)
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


# What a script may say behind its loads, and what each case must give.
SAMPLES = """
load 1m
  m{a="1"} 1 2 3
  m{a="2"} 4 5 6

"""
SAID = [
    ("a vector is no scalar", "eval instant at 1m vector(1)\n  1", "failed"),
    ("a scalar is no vector", "eval instant at 1m 1\n  {} 1", "failed"),
    ("a scalar beside series", 'eval instant at 1m 1\n  m{a="1"} 2\n  1', "failed"),
    ("a number ends the body", "eval instant at 1m 1\n  1\neval instant at 1m 2\n  3", "passed failed"),
    ("a failure's text ends the body",
     "eval_fail instant at 1m topk(NaN, m)\n  expected_fail_message Parameter value is NaN\neval instant at 1m m",
     "passed failed"),
    ("a string is not nothing", 'eval instant at 1m "x"', "failed"),
    ("nothing is no string", 'eval instant at 1m nope\n  expect string ""', "failed"),
    ("a string without quotes", 'eval instant at 1m "x"\n  expect string x', "failed"),
    ("hex, octal and grouped numbers",
     "eval instant at 1m 16\n  0x10\neval instant at 1m 8\n  010\neval instant at 1m 1000\n  1_000",
     "passed passed passed"),
    ("a series of gaps", "eval range from 0 to 2m step 1m nope\n  nope _ _ _", "failed"),
    ("gaps behind the end", 'eval range from 0 to 2m step 1m m{a="1"}\n  m{a="1"} 1 2 3 _', "failed"),
    ("a stale marker is its own kind of NaN", "eval instant at 1m vector(NaN)\n  {} stale", "failed"),
    ("two values at an instant", 'eval instant at 1m m{a="1"}\n  m{a="1"} 2 3', "failed"),
    ("no value at an instant", 'eval instant at 1m m{a="1"}\n  m{a="1"}', "failed"),
    ("a matrix", 'eval instant at 2m m{a="1"}[2m]\n  expect range vector from 1m to 2m step 1m\n  m{a="1"} 2 3',
     "passed"),
    ("a matrix at other times",
     'eval instant at 2m m{a="1"}[2m]\n  expect range vector from 61s to 2m step 59s\n  m{a="1"} 2 3', "failed"),
    ("a vector where a matrix should be",
     'eval instant at 2m m{a="1"}\n  expect range vector from 1m to 2m step 1m\n  m{a="1"} 2 3', "failed"),
    ("warn and no_warn", "eval instant at 1m nope\n  expect no_warn\n  expect warn", "failed"),
    ("two failures", "eval instant at 1m topk(NaN, m)\n  expect fail\n  expect fail", "failed"),
    ("a pattern of RE2",
     "eval instant at 1m topk(NaN, m)\n  expect fail regex:^[[:alpha:]]+ \\Qvalue\\E is NaN\\z", "passed"),
    ("a pattern that is none", "eval instant at 1m topk(NaN, m)\n  expect fail regex:(", "failed"),
    ("an eval that cannot be read keeps to itself",
     "eval instant at -1m m\n\neval instant at 1m nope\n  expect no_such_thing\n\neval instant at 1m nope",
     "failed failed passed"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "wanted"), [case[1:] for case in SAID], ids=[case[0] for case in SAID])
def test_what_cases_say(said: str, wanted: str) -> None:
    """A case passes when all it says is so, and what it cannot mean is a failure and no silence."""
    report = run_script(SAMPLES + said + "\n")
    assert " ".join(case.status for case in report.cases) == wanted, report.render()


def test_series_are_read_to_their_ends() -> None:
    """Durations of several units count as seconds; what is behind an item without a blank is a mistake."""
    script = (
        "load 1m\n  m 1h30m -1m30sx1 1m-30sx1\n\neval range from 0 to 4m step 1m m\n  m 5400 -90x1 60 30\n"
    )
    assert run_script(script).passed == 1
    for items in ("{{schema:0}}{{}}", "1_x3", "1h30", "30s1h"):
        with pytest.raises(UserError, match="line 2"):
            run_script(f"load 1m\n  m {items}\n")
