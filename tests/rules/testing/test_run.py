"""Unit tests of rules: what a file says and what comes of it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from trimon.rules.spec import GroupSpec
from trimon.rules.testing.difference import difference
from trimon.rules.testing.junit import junit_xml
from trimon.rules.testing.run import FileOutcome, RunOptions, in_order, run_file

RULES = """groups:
- name: g
  rules:
  - record: total
    expr: sum(x)
  - alert: Big
    expr: total > 2
    for: 1m
    annotations: {is: '{{ $value }}'}
"""


def run(tmp_path: Path, tests: str, *, head: str = "", options: RunOptions | None = None) -> FileOutcome:
    """What a test file with these tests comes to."""
    (tmp_path / "r.yml").write_text(RULES)
    (tmp_path / "t.yml").write_text(f"rule_files: ['r.yml']\n{head}tests:\n{tests}")
    return run_file(tmp_path / "t.yml", options or RunOptions())


INPUT = "- input_series: [{series: 'x{a=\"1\"}', values: '1+1x10'}]\n"


def test_rules_are_evaluated_as_time_goes_on(tmp_path: Path) -> None:
    """An alert is pending for its time and fires then; expressions see what rules recorded."""
    outcome = run(
        tmp_path,
        INPUT
        + """  alert_rule_test:
  - {eval_time: 2m, alertname: Big, exp_alerts: []}
  - {eval_time: 3m, alertname: Big, exp_alerts: [{exp_annotations: {is: '4'}}]}
  promql_expr_test:
  - {expr: total, eval_time: 5m, exp_samples: [{labels: total, value: 6}]}
  - expr: 'ALERTS{alertstate="pending"}'
    eval_time: 2m
    exp_samples: [{labels: 'ALERTS{alertname="Big",alertstate="pending"}', value: 1}]
""",
    )
    assert outcome.failures == []


def test_what_comes_later_is_not_seen(tmp_path: Path) -> None:
    """A rule that looks ahead sees only what had arrived when it was evaluated."""
    (tmp_path / "ahead.yml").write_text("groups: [{name: a, rules: [{record: ahead, expr: x offset -1m}]}]\n")
    (tmp_path / "t.yml").write_text(
        f"rule_files: ['ahead.yml']\ntests:\n{INPUT}"
        "  promql_expr_test:\n"
        "  - {expr: ahead, eval_time: 3m, exp_samples: [{labels: 'ahead{a=\"1\"}', value: 4}]}\n"
    )
    assert run_file(tmp_path / "t.yml", RunOptions()).failures == []


@pytest.mark.parametrize(("fuzzy", "passes"), [("true", True), ("false", False)])
def test_neighbours_are_equal_when_asked(tmp_path: Path, fuzzy: str, *, passes: bool) -> None:
    """`fuzzy_compare` takes the neighbour of a number for it."""
    outcome = run(
        tmp_path,
        "- promql_expr_test: [{expr: '0.1 + 0.2', eval_time: 0, exp_samples: [{value: 0.3}]}]\n",
        head=f"fuzzy_compare: {fuzzy}\n",
    )
    assert (not outcome.failures) == passes


def test_only_what_is_selected_runs(tmp_path: Path) -> None:
    """`--run` goes by names; unnamed tests are selected by a pattern that takes the empty name."""
    failing = "- name: {name}\n  promql_expr_test: [{{expr: '1', eval_time: 0, exp_samples: []}}]\n"
    tests = failing.format(name="one") + failing.format(name="two")
    outcome = run(tmp_path, tests, options=RunOptions(selected=(re.compile("^tw"),)))
    assert [test.name for test in outcome.tests] == ["two"]


def test_groups_run_in_the_order_of_the_file() -> None:
    """Groups that are not named come first."""
    groups = [GroupSpec("f", name, 1000) for name in ("c", "b", "a", "z")]
    assert [group.name for group in in_order(groups, ["z", "b", "c"])] == ["a", "z", "b", "c"]


def test_a_difference_is_a_coloured_tree() -> None:
    """Equal parts are plain; what is missing is red, what is new green, what changed yellow."""
    text = difference([{"a": "1", "b": "2", "c": "3"}, "x"], [{"a": "1", "b": "5", "d": "4"}])
    assert text.split("\n") == [
        "[",
        "    {",
        '        "a": "1",',
        '        "b": \x1b[0;33m"2" => "5"\x1b[0m,',
        '        \x1b[0;31m"c": "3"\x1b[0m,',
        '        \x1b[0;32m"d": "4"\x1b[0m',
        "    },",
        '    \x1b[0;31m"x"\x1b[0m',
        "]",
    ]


def test_junit_has_a_failure_for_each_thing(tmp_path: Path) -> None:
    """Names are escaped, failures are counted, a file that cannot be read is an error."""
    outcome = run(
        tmp_path, "- name: a & b\n  promql_expr_test: [{expr: '1', eval_time: 0, exp_samples: []}]\n"
    )
    xml = junit_xml(
        [outcome, FileOutcome(Path("u.yml"), error="no")], datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    )
    assert 'tests="1" failures="1" errors="0" skipped="0" timestamp="2026-01-02T03:04:05"' in xml
    assert '<testcase name="a &amp; b"><failure>' in xml
    assert "<error>no</error>" in xml


@pytest.mark.parametrize("named", ["a", "a \x1b[0;33mb\x00\x0b\ufffe\udc80"])
def test_junit_is_always_xml(tmp_path: Path, named: str) -> None:
    """Colours of --diff are left out, and what XML cannot have is replaced, in texts and names."""
    tests = INPUT + "  alert_rule_test: [{eval_time: 9m, alertname: Big}]\n"
    outcome = run(tmp_path, tests, options=RunOptions(shows_difference=True))
    (test,) = outcome.tests
    assert "\x1b[" in test.failures[0]
    odd = replace(test, name=named, failures=(*test.failures, f"x\x1b\x08{named}"))
    wrong = FileOutcome(Path(f"{named}.yml"), error=named)
    xml = junit_xml([replace(outcome, tests=(odd,)), wrong], datetime(2026, 1, 2, tzinfo=UTC))
    case = ET.fromstring(xml.encode()).find("testsuite/testcase")  # it is our own
    assert case is not None
    shown = named.replace("\x1b[0;33m", "")
    shown = "".join("\ufffd" if each in "\x00\x0b\ufffe\udc80" else each for each in shown)
    assert case.get("name") == shown
    texts = [each.text for each in case]
    assert texts[0] == re.sub("\x1b[^m]*m", "", test.failures[0])
    assert texts[1] == f"x\ufffd\ufffd{shown}"


def test_coverage_of_rules_that_cannot_be_read(tmp_path: Path) -> None:
    """What is not known is not enough, even where all that is known was tried; tests that fail later count."""
    loud = run(tmp_path, INPUT + "  alert_rule_test: [{eval_time: 9m, alertname: Other}]\n").coverage
    assert loud.reaches(1.0)
    (tmp_path / "bad.yml").write_text("groups: [{rules: [{}]}]")
    (tmp_path / "u.yml").write_text("rule_files: [bad.yml]\ntests: [{}]\n")
    unread = run_file(tmp_path / "u.yml", RunOptions()).coverage
    line = f"  {tmp_path / 'u.yml'}: a test could not begin, so its rules are not known"
    assert unread.lines() == ["Coverage: 0 of 0 rules (not known)", line]
    (tmp_path / "u.yml").write_text("tests: 7\n")
    assert run_file(tmp_path / "u.yml", RunOptions()).coverage.lines()[1] == line
    loud.add(unread)
    assert loud.lines() == ["Coverage: 2 of 2 rules (100.0%)", line]
    assert not loud.reaches(0.0)
    unnamed = run(tmp_path, INPUT + "  alert_rule_test: [{eval_time: 9m}]\n")
    assert unnamed.failures
    assert unnamed.coverage.lines()[0] == "Coverage: 0 of 2 rules (0.0%)"


def test_coverage_names_rules_that_nothing_has_tried(tmp_path: Path) -> None:
    """A recording rule counts when it records something in any test, an alert when it fires in any."""
    quiet = run(tmp_path, "- input_series: [{series: 'x{a=\"1\"}', values: '1x10'}]\n")
    assert quiet.coverage.share == 0.5
    assert quiet.coverage.lines() == [
        "Coverage: 1 of 2 rules (50.0%)",
        f'  {tmp_path / "r.yml"}: group "g", rule 2, "Big" never fires',
    ]
    loud = run(tmp_path, INPUT + "  alert_rule_test: [{eval_time: 9m, alertname: Other}]\n")
    quiet.coverage.add(loud.coverage)
    assert quiet.coverage.lines() == ["Coverage: 2 of 2 rules (100.0%)"]
    nothing = run(tmp_path, "- input_series: [{series: y, values: '1x10'}]\n")
    assert (
        nothing.coverage.lines()[1]
        == f'  {tmp_path / "r.yml"}: group "g", rule 1, "total" never records anything'
    )


def test_a_rule_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    """Which of the rule files it is stands before the error."""
    (tmp_path / "bad.yml").write_text("groups:\n- {name: g\n")
    (tmp_path / "t.yml").write_text("rule_files: ['bad.yml']\ntests: [{interval: 1m}]\n")
    (failure,) = run_file(tmp_path / "t.yml", RunOptions()).failures
    assert failure.startswith(f"{tmp_path / 'bad.yml'}: yaml: ")
