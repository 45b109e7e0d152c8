"""Rule files: what is taken, and what is refused with which words at which place."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import peer
from trimon import limits
from trimon.errors import UserError
from trimon.query.language.options import QueryOptions
from trimon.rules.file import RuleFileErrors, load_rules, read_rules
from trimon.rules.spec import AlertingSpec, GroupSpec, OnNoData, RecordingSpec, RuleDefaults

FILE = Path("/etc/rules.yml")
SAMPLES = Path(__file__).parents[2] / "config"


def read(text: str, **defaults: Any) -> tuple[GroupSpec, ...]:
    return read_rules(text, FILE, RuleDefaults(**defaults))


def group(*rules: str, more: str = "") -> str:
    """A file with one group `g`; rules begin at line 4, column 9."""
    listed = "".join(f"      - {rule}\n" for rule in rules)
    return f"groups:\n  - name: g\n    rules:\n{listed}{more}"


@pytest.mark.parametrize("text", ["", "groups:\n", "groups: []\n", "# nothing\n"])
def test_nothing_is_no_groups(text: str) -> None:
    """An empty file has no groups."""
    assert read(text) == ()


def test_a_group_with_everything() -> None:
    """Interval, offset, limit and labels are read; labels of a rule win over those of the group."""
    text = (
        "groups:\n  - name: g\n    interval: 30s\n    query_offset: 1m\n    limit: 7\n    labels: {a: '1', b: '2'}\n"
        "    rules:\n      - record: x:y\n        expr: up == 1\n        labels: {b: '3', c: ''}\n"
    )
    rule = RecordingSpec("x:y", "up == 1", (("a", "1"), ("b", "3"), ("c", "")))
    assert read(text) == (GroupSpec("/etc/rules.yml", "g", 30_000, 60_000, 7, (rule,)),)


def test_defaults_come_from_global() -> None:
    """A group that says nothing has the global interval and offset; an offset of 0 is not nothing."""
    (spec,) = read(group(), interval_ms=5_000, query_offset_ms=3_000)
    assert (spec.interval_ms, spec.query_offset_ms, spec.limit, spec.rules) == (5_000, 3_000, 0, ())
    (spec,) = read(group(more="    query_offset: 0s\n"), query_offset_ms=3_000)
    assert spec.query_offset_ms == 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("groups: 7", "1:9: cannot unmarshal !!int `7` into []rulefmt.RuleGroup"),
        ("group: []", "1:1: field group not found in type rulefmt.RuleGroups"),
        ("groups:\n  - rules: []\n", "2:5: 0:0: Groupname must not be empty"),
        (
            "groups:\n  - name: g\n  - name: g\n",
            '3:5: 0:0: groupname: "g" is repeated in the same file',
        ),
        ("groups:\n  - name: g\n    intervall: 1s\n", "3:5: field intervall not found in type rulefmt.RuleGroup"),
        ("groups:\n  - name: g\n    interval: soon\n", '3:15: not a valid duration string: "soon"'),
        ("groups:\n  - name: g\n    labels: {__name__: x}\n", '3:5: invalid label name: __name__ in group "g"'),
        (
            group("{record: x, alert: y, expr: '1'}"),
            "4:18: 4:18: 4:28: group \"g\", rule 1, \"y\": only one of 'record' and 'alert' must be set",
        ),
        (group("{expr: '1'}"), "4:9: 0:0: 0:0: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set"),
        (group("{record: x}"), "4:9: 0:0: group \"g\", rule 1, \"x\": field 'expr' must be set in rule"),
        (
            group("{record: x, expr: '1'}", "{record: y, expr: 'sum('}"),
            '5:27: 5:27: group "g", rule 2, "y": could not parse expression: 1:5: parse error: unclosed left parenthesis',
        ),
        (
            group("{record: x, expr: '1', for: 5m}"),
            "4:18: 4:18: group \"g\", rule 1, \"x\": invalid field 'for' in recording rule",
        ),
        (
            group("{record: x, expr: '1', keep_firing_for: 5m}"),
            "4:18: 4:18: group \"g\", rule 1, \"x\": invalid field 'keep_firing_for' in recording rule",
        ),
        (
            group("{record: x, expr: '1', annotations: {a: b}}"),
            "4:18: 4:18: group \"g\", rule 1, \"x\": invalid field 'annotations' in recording rule",
        ),
        (
            group("{record: 'x{a=1}', expr: '1'}"),
            '4:18: 4:18: group "g", rule 1, "x{a=1}": braces present in the recording rule name; should it be in expr?: x{a=1}',
        ),
        (
            group("{record: x, expr: '1', labels: {__name__: y}}"),
            '4:32: group "g", rule 1, "x": invalid label name: __name__',
        ),
        (
            "groups:\n  - name: g\n    rules:\n      - record: x\n        exp: '1'\n",
            "5:9: field exp not found in type rulefmt.Rule",
        ),
    ],
)  # fmt: skip
def test_errors(text: str, error: str) -> None:
    """Every mistake is named with file, line, column, group, rule and reason."""
    with pytest.raises(UserError) as refused:
        read(text)
    place = refused.value.position
    shown = refused.value.message.replace(f"yaml: unmarshal errors:\n  line {place.line}: ", "")
    assert f"{place.file}:{place.line}:{place.column}: {shown}" == f"/etc/rules.yml:{error}"


def test_the_sample_is_good() -> None:
    """The rule file of the sample configuration is taken."""
    (spec,) = load_rules([SAMPLES / "rules" / "node.yml"], RuleDefaults(query=QueryOptions()))
    assert [rule.record if isinstance(rule, RecordingSpec) else rule for rule in spec.rules] == [
        "instance:node_cpu_busy:rate5m",
        "instance:node_memory_available:ratio",
    ]


def test_a_missing_file_is_named() -> None:
    """A rule file that is not there is an error with its path."""
    with pytest.raises(UserError, match=r"open /nowhere/r\.yml: no such file or directory"):
        load_rules([Path("/nowhere/r.yml")], RuleDefaults())


@pytest.mark.peer
@pytest.mark.parametrize(
    "text",
    [
        "groups:\n  - rules: []\n",
        "groups:\n  - name: g\n  - name: g\n",
        "groups:\n  - name: g\n    intervall: 1s\n",
        "groups:\n  - name: g\n    interval: soon\n",
        "groups:\n  - name: g\n    limit: x\n",
        group("{record: x, alert: y, expr: '1'}"),
        group("{expr: '1'}"),
        group("{record: x}"),
        group("{record: x, expr: '1'}", "{record: y, expr: 'sum('}"),
        group("{record: x, expr: '1', for: 5m}"),
        group("{record: x, expr: '1', annotations: {a: b}}"),
        group("{record: x, expr: '1', labels: {__name__: y}}"),
    ],
)
def test_the_words_are_those_of_promtool(text: str, tmp_path: Path) -> None:
    """What we refuse promtool refuses too, with the same words after the place."""
    promtool = peer("promtool")
    path = tmp_path / "r.yml"
    path.write_text(text)
    done = subprocess.run(
        [promtool, "check", "rules", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode != 0
    with pytest.raises(UserError) as refused:
        load_rules([path], RuleDefaults())
    # Where 3.14 looks for a place another version looks elsewhere.
    assert re.sub(r"^(\d+:\d+: )+", "", refused.value.message) in done.stdout + done.stderr


def test_a_file_has_a_most_of_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aliases count each time; the group that goes beyond is named by its place."""
    monkeypatch.setattr(limits, "RULES_PER_FILE_MAX", 5)
    text = "groups:\n- {name: a, rules: &r [{record: a, expr: up}, {record: b, expr: up}, {record: c, expr: up}]}\n"
    assert len(read(text)[0].rules) == 3
    with pytest.raises(UserError, match=r"6 rules and more in one file; at most 5 are allowed") as refused:
        read(text + "- name: b\n  rules: *r\n")
    assert refused.value.position.line == 4


def test_of_many_errors_the_first_are_told() -> None:
    """A hundred errors of meaning are told and the others counted, and no text is repeated at its whole length."""
    name = "n" * 100_000
    text = "groups:\n- {name: &n " + name + ", rules: [" + "{record: *n}," * 500 + "]}\n"
    with pytest.raises(RuleFileErrors) as refused:
        read(text)
    assert (len(refused.value.texts), refused.value.texts[-1]) == (101, "... and 400 more")
    assert len(str(refused.value)) < 600_000


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        (
            (
                "groups:\n- name: g\n  catch_up: perhaps\n  rules:\n  - {alert: A, expr: up, on_no_data: maybe}\n"
                "  - {alert: B, expr: 'up =='}\n"
            ),
            [
                '3:13: group "g": catch_up must be true or false, got "perhaps"',
                '5:38: group "g", rule 1, "A": on_no_data must be keep, alert or resolve, got "maybe"',
                '6:22: group "g", rule 2, "B": could not parse expression: ',
            ],
        ),
        (
            "groups: [{name: g, catch_up: [1], rules: [{alert: A, expr: up, on_no_data: {a: b}}]}]",
            [
                '1:30: group "g": catch_up must be true or false, got a list',
                '1:76: group "g", rule 1, "A": on_no_data must be keep, alert or resolve, got a mapping',
            ],
        ),
        (
            "groups: [{name: g, catch_up: 1, rules: [{record: a, expr: up, on_no_data: no}]}]",
            [
                '1:30: group "g": catch_up must be true or false, got "1"',
                '1:75: group "g", rule 1, "a": on_no_data must be keep, alert or resolve, got "no"',
                '1:50: group "g", rule 1, "a": invalid field \'on_no_data\' in recording rule',
            ],
        ),
    ],
)
def test_values_of_fields_of_our_own_are_told_with_their_rule(text: str, errors: list[str]) -> None:
    """Each is an error with line, group and rule, beside all the others of the file."""
    with pytest.raises(RuleFileErrors) as refusal:
        read_rules(text, Path("r.yml"), RuleDefaults())
    assert len(refusal.value.texts) == len(errors)
    for told, expected in zip(refusal.value.texts, errors, strict=True):
        assert told.startswith(expected)


def test_values_that_fields_of_our_own_have() -> None:
    """Booleans of YAML 1.1 and the three words are taken; null is nothing."""
    text = "groups: [{name: g, catch_up: off, rules: [{alert: A, expr: up, on_no_data: %s}]}]"
    for word, value in (("keep", OnNoData.KEEP), ("'alert'", OnNoData.ALERT), ("~", OnNoData.RESOLVE)):
        (group,) = read_rules(text % word, Path("r.yml"), RuleDefaults())
        assert group.catch_up is False
        assert isinstance(group.rules[0], AlertingSpec)
        assert group.rules[0].on_no_data is value


def test_the_line_of_what_is_no_yaml() -> None:
    """It is where the reader of rule files says it began; Prometheus reads configurations with an older one."""
    with pytest.raises(UserError, match="yaml: line 3: could not find expected ':'"):
        read_rules("groups:\n  - name: test\n  invalid_yaml_reason\n", Path("r.yml"), RuleDefaults())
