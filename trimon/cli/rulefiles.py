"""`trimon check rules`: looks at rule files, and says what promtool says."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trimon.cli.argument import ExistingFile
from trimon.cli.findings import (
    DUPLICATE_RULES,
    Findings,
    compat_option,
    features_option,
    ignore_option,
    lint_fatal_option,
    lint_option,
    positions_option,
)
from trimon.cli.server.features import named_features
from trimon.cli.server.flags import STRICT
from trimon.config.yaml.faults import ShapeErrors
from trimon.errors import UserError

if TYPE_CHECKING:
    from trimon.rules.spec import GroupSpec, RuleDefaults

STANDARD_INPUT: Final = "-"
_UNKNOWN_FIELD: Final = re.compile("field .* not found in type ")
_INNER_TYPES: Final = (
    (re.compile(r"rulefmt\.RuleGroups\b"), "rulefmt.ruleGroups"),
    (re.compile(r"rulefmt\.RuleGroup\b"), "rulefmt.RuleGroupNode"),
    (re.compile(r"rulefmt\.Rule\b"), "rulefmt.RuleNode"),
)


@click.command("rules")
@click.argument("files", nargs=-1)
@lint_option
@lint_fatal_option
@ignore_option
@features_option
@compat_option
@positions_option
@click.pass_context
def rules(
    context: click.Context,
    files: tuple[str, ...],
    *,
    lint: str,
    lint_fatal: bool,
    ignore_unknown_fields: bool,
    features: tuple[str, ...],
    compat: str,
    positions: bool | None,
) -> int:
    """Check that each FILE is a rule file that the server would take. No file, or -: standard input."""
    strict = compat == STRICT
    findings = Findings(lint, lint_fatal=lint_fatal, positions=positions)
    if not files or files == (STANDARD_INPUT,):
        defaults = _defaults(features, ignore_unknown_fields=ignore_unknown_fields, strict=strict)
        _check_text(sys.stdin.read(), defaults, findings)
        return findings.exit_code()
    kind = ExistingFile()
    paths = tuple(kind.convert(file, None, context) for file in files)
    check_rule_files(paths, findings, features, ignore_unknown_fields=ignore_unknown_fields, strict=strict)
    return findings.exit_code()


def _defaults(features: Sequence[str], *, ignore_unknown_fields: bool, strict: bool) -> RuleDefaults:
    from trimon.query.language.options import QueryOptions  # noqa: PLC0415 # rules alone need it
    from trimon.rules.spec import RuleDefaults  # noqa: PLC0415 # the same

    query = QueryOptions(features=frozenset(named_features(features)))
    return RuleDefaults(query=query, ignore_unknown_fields=ignore_unknown_fields, strict=strict)


def check_rule_files(
    files: Sequence[Path],
    findings: Findings,
    features: Sequence[str] = (),
    *,
    ignore_unknown_fields: bool = False,
    strict: bool = False,
) -> None:
    """Look at rule files, and tell of each whether the server would take it."""
    if not files:
        return
    from trimon.rules.file import load_rule_file  # noqa: PLC0415 # rules alone need it

    defaults = _defaults(features, ignore_unknown_fields=ignore_unknown_fields, strict=strict)
    for file in files:
        click.echo(f"Checking {file}")
        try:
            groups = load_rule_file(file, defaults)
        except UserError as error:
            findings.failures([f"{file}: {text}" for text in rule_failures(error)], error.places)
        else:
            _tell(groups, findings)


def _check_text(text: str, defaults: RuleDefaults, findings: Findings) -> None:
    from trimon.rules.file import read_rules  # noqa: PLC0415 # rules alone need it

    click.echo("Checking standard input")
    try:
        groups = read_rules(text, Path(STANDARD_INPUT), defaults)
    except UserError as error:
        findings.failures(list(rule_failures(error)), error.places)
    else:
        _tell(groups, findings)


def _tell(groups: Sequence[GroupSpec], findings: Findings) -> None:
    doubles = duplicate_rules(groups) if DUPLICATE_RULES in findings.lints else ()
    if not doubles:
        click.echo(f"  SUCCESS: {sum(len(group.rules) for group in groups)} rules found\n")
        return
    found = "".join(f"Metric: {name}\nLabel(s):\n{labels}" for name, labels in doubles)
    findings.lint(
        f"\nlint error {len(doubles)} duplicate rule(s) found.\n{found}"
        "Might cause inconsistency while recording expressions"
    )
    click.echo()


def rule_failures(error: UserError) -> Iterator[str]:
    """What is wrong with a rule file. What cannot be decoded is told twice, the second time of promtool's inner types."""
    from trimon.rules.file import RuleFileErrors  # noqa: PLC0415 # rules alone need it

    if isinstance(error, RuleFileErrors):
        yield from error.texts
        return
    yield error.message
    again = error.message
    if isinstance(error, ShapeErrors):
        faults = [fault for fault in error.faults if not _UNKNOWN_FIELD.match(fault[1])]
        again = ShapeErrors(faults, error.more).message if faults else ""
        for outer, inner in _INNER_TYPES:
            again = outer.sub(inner, again)
    if again:
        yield again


def duplicate_rules(groups: Iterable[GroupSpec]) -> tuple[tuple[str, str], ...]:
    """Name and labels, one a line, of each rule that is there a second time, by name and labels."""
    seen = Counter((rule.name, rule.labels) for group in groups for rule in group.rules)
    doubles = sorted(key for key, count in seen.items() if count > 1)
    return tuple(
        (name, "".join(f"\t{label}: {value}\n" for label, value in labels)) for name, labels in doubles
    )
