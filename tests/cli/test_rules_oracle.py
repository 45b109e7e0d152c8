"""`trimon check rules` and `trimon test rules` beside what promtool 3.14 says of recorded rule files and unit tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest

from tests.support.commandline import run_trimon
from tests.support.oracle import recordings
from trimon.cli.findings import EXIT_LINT

NOT_THERE: Final = "no ../shared/oracle/rules beside the project"
CHECK_DIFFERENT: Final = {
    "expr_list": "an expression that is a list is told twice, as all that cannot be decoded",
    "missing_file": "the tool is called trimon",
}
TEST_DIFFERENT: Final = {
    "external_labels_url": "the function externalURL knows the URL of the test; in promtool it is a nil pointer",
    "ext_url_unset": "the function externalURL gives nothing; in promtool it is a nil pointer",
    "series_bad_values": "the column is that of the bad value, not of the one before",
    "series_bad_name": "a brace that is not closed is told, not what follows it",
}


CHECKS: Final = recordings("rules/cases.jsonl")
UNIT_TESTS: Final = recordings("rules/unittests.jsonl")


def play(case: dict[str, Any], directory: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a recorded command line in a directory with its files."""
    for name, text in case["files"].items():
        (directory / name).write_text(text, encoding="utf-8", newline="")
    monkeypatch.chdir(directory)
    given = case["files"][case["stdin"]] if case["stdin"] else None
    ran = run_trimon(*case["command"][1:], text=given)
    return ran.exit_code, ran.stdout, ran.stderr


def said(out: str, err: str) -> tuple[str, str]:
    """The texts without lines of the log."""
    return out, "".join(line for line in err.splitlines(keepends=True) if not line.startswith("time="))


@pytest.mark.skipif(not CHECKS, reason=NOT_THERE)
@pytest.mark.parametrize("case", CHECKS, ids=[case["id"] for case in CHECKS])
def test_check_rules_says_what_promtool_says(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code and texts are promtool's."""
    code, out, err = play(case, tmp_path, monkeypatch)
    same = (code, *said(out, err)) == (case["exit"], *said(case["stdout"], case["stderr"]))
    assert code == case["exit"]
    assert same == (case["id"] not in CHECK_DIFFERENT), (out, err)


@pytest.mark.skipif(not UNIT_TESTS, reason=NOT_THERE)
@pytest.mark.parametrize("case", UNIT_TESTS, ids=[case["id"] for case in UNIT_TESTS])
def test_unit_tests_end_as_with_promtool(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code, texts and JUnit XML are promtool's, or one of several where its order is by chance."""
    code, out, err = play(case, tmp_path, monkeypatch)
    wanted = [case, *(case.get("other_results") or ())]
    same = any(
        (code, *said(out, err)) == (one["exit"], *said(one["stdout"], one["stderr"])) for one in wanted
    )
    assert same == (case["id"] not in TEST_DIFFERENT), (out, err)
    if case.get("junit"):
        found = (tmp_path / "out.xml").read_text(encoding="utf-8")
        assert tree(found) == tree(case["junit"])


def tree(xml: str) -> object:
    """An XML text without its moments."""

    def data(element: ET.Element) -> object:
        attributes = {name: value for name, value in element.attrib.items() if name != "timestamp"}
        return element.tag, attributes, element.text, [data(inner) for inner in element]

    return data(ET.fromstring(re.sub(r"^<\?xml[^>]*>", "", xml)))


GOOD: Final = (
    "groups:\n- name: g\n  rules:\n  - record: a\n    expr: up * 2\n  - alert: Down\n    expr: up == 0\n"
)


def test_standard_input_is_checked(tmp_path: Path) -> None:
    """Without a file, and with `-`, rules come from standard input; what is wrong has no file before it."""
    for arguments in ((), ("-",)):
        ran = run_trimon("check", "rules", *arguments, text=GOOD)
        assert (ran.exit_code, ran.stdout) == (0, "Checking standard input\n  SUCCESS: 2 rules found\n\n")
    ran = run_trimon("check", "rules", text="groups: 7\n")
    assert ran.exit_code == 1
    assert "  FAILED:\nyaml: unmarshal errors:" in ran.stderr
    twice = GOOD + "  - record: a\n    expr: up\n"
    assert run_trimon("check", "rules", "--lint-fatal", text=twice).exit_code == EXIT_LINT


UNIT_TEST: Final = """\
rule_files: [r.yml]
tests:
- name: one
  interval: 1m
  external_labels: {{dc: x}}
  input_series: [{{series: 'up{{job="a"}}', values: '1 0 0'}}]
  alert_rule_test:
  - {{eval_time: 2m, alertname: Down, exp_alerts: [{{exp_labels: {{job: a}}}}]}}
  promql_expr_test:
  - {{expr: a, eval_time: 0, exp_samples: [{{labels: 'a{{job="a"}}', value: {value}}}]}}
"""


def test_several_files_are_told_in_order(tmp_path: Path) -> None:
    """Files run side by side and are told in the order of the command line; one that fails makes the exit code 1."""
    (tmp_path / "r.yml").write_text(GOOD)
    for name, value in (("good.yml", 2), ("bad.yml", 3), ("good2.yml", 2)):
        (tmp_path / name).write_text(UNIT_TEST.format(value=value))
    files = [tmp_path / name for name in ("good.yml", "bad.yml", "good2.yml")]
    ran = run_trimon("test", "rules", *files)
    assert ran.exit_code == 1
    assert ran.stdout == "  SUCCESS\n\n\n\n  SUCCESS\n\n"
    assert ran.stderr == (
        '  FAILED:\n    expr: "a", time: 0s,\n        exp: {__name__="a", job="a"} 3E+00\n'
        '        got: {__name__="a", job="a"} 2E+00\n'
    )
    assert run_trimon("test", "rules", "--run", "nothing", *files).exit_code == 0


def test_too_little_coverage_fails(tmp_path: Path) -> None:
    """`--coverage` tells what no test has tried; with `--coverage-min` too little is exit code 1."""
    (tmp_path / "r.yml").write_text(
        "groups: [{name: g, rules: [{record: a, expr: x}, {alert: B, expr: x > 9}]}]"
    )
    tests = tmp_path / "t.yml"
    tests.write_text(
        "rule_files: [r.yml]\ntests:\n- input_series: [{series: x, values: 1x5}]\n"
        "  promql_expr_test: [{expr: a, eval_time: 3m, exp_samples: [{labels: a, value: 1}]}]\n"
    )
    ran = run_trimon("test", "rules", "--coverage", tests)
    assert ran.exit_code == 0
    assert "Coverage: 1 of 2 rules (50.0%)" in ran.stdout
    assert 'group "g", rule 2, "B" never fires' in ran.stdout
    assert run_trimon("test", "rules", "--coverage-min=50", tests).exit_code == 0
    ran = run_trimon("test", "rules", "--coverage-min=51", tests)
    assert ran.exit_code == 1
    assert "fewer than 51% of the rules were tried" in ran.stderr
