"""`trimon check`: looks at files without starting anything, and says what promtool says."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trimon.cli.argument import ExistingFile
from trimon.config.discovery import FileSdConfig, PluginSdConfig
from trimon.config.globs import expand_glob
from trimon.config.load import Config, FlagDefaults, load
from trimon.config.references import refuse_missing, rule_files
from trimon.config.scrape import ScrapeConfig
from trimon.config.yamltree import ShapeErrors
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.units import format_duration, parse_duration_ms

if TYPE_CHECKING:
    from trimon.rules.file import GroupSpec

EXIT_FAILED: Final = 1
EXIT_LINT: Final = 3
DUPLICATE_RULES: Final = "duplicate-rules"
LONG_INTERVAL: Final = "too-long-scrape-interval"
LINTS: Final = (DUPLICATE_RULES, LONG_INTERVAL)

_lint_option = click.option(
    "--lint",
    default=DUPLICATE_RULES,
    show_default=True,
    help="What else to look for, comma separated: all, none, duplicate-rules, too-long-scrape-interval.",
)
_lint_fatal_option = click.option(
    "--lint-fatal", is_flag=True, help="Exit with 3 when something else is found."
)
_ignore_option = click.option(
    "--ignore-unknown-fields", is_flag=True, help="Take rule groups and rules with unknown fields."
)
_positions_option = click.option(
    "--positions/--no-positions",
    default=None,
    help="Say file, line and column of each failure on a line of its own. Default: on a terminal.",
)


@click.group("check", help="Check configuration files.")
def check() -> None:
    """The group of check commands."""


class Findings:
    """What a run has found, and how it is told."""

    def __init__(self, lint: str, *, lint_fatal: bool, positions: bool | None) -> None:
        self.failed = False
        self.linted = False
        self._lint_fatal = lint_fatal
        self._positions = sys.stderr.isatty() if positions is None else positions
        self.lints = self._wanted(lint)

    def _wanted(self, lint: str) -> frozenset[str]:
        names = lint.split(",")
        for name in names:
            if name not in (*LINTS, "all", "none", ""):
                click.echo(f'WARNING: unknown lint option: "{name}"')
        return frozenset(LINTS) if "all" in names else frozenset(names) & frozenset(LINTS)

    def failure(self, error: UserError) -> None:
        """Tell a failure."""
        self.failed = True
        click.echo(f"  FAILED: {error.message}", err=True)
        self._place(error)

    def rule_failure(self, file: Path, error: UserError) -> None:
        """Tell what is wrong with a rule file."""
        self.failed = True
        told = error.position.line and not isinstance(error, ShapeErrors)
        place = f"{error.position.line}:{error.position.column}: " if told else ""
        click.echo(f"  FAILED:\n{file}: {place}{error.message}", err=True)

    def lint(self, text: str) -> None:
        """Tell what is taken and is likely a mistake."""
        self.linted = True
        click.echo(f"  FAILED:{text}", err=True)

    def _place(self, error: UserError) -> None:
        if self._positions and error.position.line:
            click.echo(f"  at {error.position}", err=True)

    def exit_code(self) -> int:
        """The exit code of all that was found."""
        if self.failed:
            return EXIT_FAILED
        return EXIT_LINT if self.linted and self._lint_fatal else 0


@check.command("config")
@click.argument("files", nargs=-1, required=True, type=ExistingFile())
@click.option("--syntax-only", is_flag=True, help="Look at no other file.")
@click.option("--agent", is_flag=True, help="Refuse what an agent does not take.")
@click.option(
    "--query.lookback-delta", "lookback", default="5m", help="The server's, for too-long-scrape-interval."
)
@_lint_option
@_lint_fatal_option
@_ignore_option
@_positions_option
def config(  # click's own way of calling
    files: tuple[Path, ...],
    *,
    syntax_only: bool,
    agent: bool,
    lookback: str,
    lint: str,
    lint_fatal: bool,
    ignore_unknown_fields: bool,
    positions: bool | None,
) -> int:
    """Check that each FILE is a configuration that the server would take."""
    lookback_ms = parse_duration_ms(lookback)
    findings = Findings(lint, lint_fatal=lint_fatal, positions=positions)
    for file in files:
        click.echo(f"Checking {file}")
        try:
            loaded = load(file, defaults=FlagDefaults(agent=agent))
            for name in loaded.unset_variables:
                click.echo(f'level=WARN msg="Empty environment variable" name={name}', err=True)
            rules = () if syntax_only else rule_files(loaded)
            _check_jobs(loaded, syntax_only=syntax_only)
        except UserError as error:
            findings.failure(error)
            click.echo()
            continue
        _check_intervals(loaded, lookback_ms, findings)
        if rules:
            click.echo(f"  SUCCESS: {len(rules)} rule files found")
        click.echo(f" SUCCESS: {file} is valid prometheus config file syntax\n")
        _check_rules(rules, findings, ignore_unknown_fields=ignore_unknown_fields)
    return findings.exit_code()


def _check_jobs(config: Config, *, syntax_only: bool) -> None:
    """What is wrong with files that jobs name, and with their targets. Raises UserError."""
    bad = config.scrape_files_error
    if bad is not None:
        raise UserError(f"error loading scrape configs: {bad.message}", bad.position)
    if not syntax_only:
        _check_plugins(config)
    for job in config.scrape_configs:
        if not syntax_only:
            refuse_missing(job)
        _check_targets([(group.targets, group.labels) for group in job.static_configs], job)
        if not syntax_only:
            for source in job.discovery():
                if isinstance(source, FileSdConfig):
                    _check_target_files(source, job)


def _check_target_files(source: FileSdConfig, job: ScrapeConfig) -> None:
    from trimon.discovery.targetfile import read_target_file  # noqa: PLC0415 # few configurations need it

    for pattern in source.files:
        matches = expand_glob(pattern)
        if not matches:
            where = f"file {go_quote(pattern)} for file_sd in scrape job {go_quote(job.job_name)}"
            click.echo(f"  WARNING: {where} does not exist")
        for match in matches:
            try:
                groups = read_target_file(match)
            except UserError as error:
                message = f"checking SD file {go_quote(str(match))}: {error.message}"
                raise UserError(message, error.position) from None
            _check_targets([(targets, tuple(labels.items())) for targets, labels in groups], job)


def _check_plugins(config: Config) -> None:
    sources = [source for job in config.scrape_configs for source in job.discovery()]
    if not any(isinstance(source, PluginSdConfig) for source in sources):
        return
    from trimon.discovery.registry import Registry, check_plugins  # noqa: PLC0415 # few configurations need it

    for error in check_plugins(config, Registry()):
        raise error


def _check_targets(
    groups: Sequence[tuple[tuple[str, ...], tuple[tuple[str, str], ...]]], job: ScrapeConfig
) -> None:
    """Every target can be scraped after relabelling, or is dropped by it. Raises UserError."""
    for number, (targets, labels) in enumerate(groups):
        for instance, target in enumerate(targets):
            try:
                _check_target({**dict(labels), "__address__": target}, job)
            except UserError as error:
                raise UserError(f"instance {instance} in group {number}: {error.message}") from None


def _check_target(labels: dict[str, str], job: ScrapeConfig) -> None:
    if not job.relabel_configs and "/" not in labels["__address__"]:
        return
    from trimon.scrape.target import build_target  # noqa: PLC0415 # most targets do without
    from trimon.server.jobs import pool_options  # noqa: PLC0415 # the same

    build_target(labels, pool_options(job))


def _check_intervals(config: Config, lookback_ms: int, findings: Findings) -> None:
    if LONG_INTERVAL not in findings.lints:
        return
    for job in config.scrape_configs:
        if job.scrape_interval >= lookback_ms:
            findings.lint(
                " too long scrape interval found, data point will be marked as stale - "
                f"job: {job.job_name}, interval: {format_duration(job.scrape_interval)}"
            )


@check.command("rules")
@click.argument("files", nargs=-1, required=True, type=ExistingFile())
@_lint_option
@_lint_fatal_option
@_ignore_option
@_positions_option
def rules(
    files: tuple[Path, ...],
    *,
    lint: str,
    lint_fatal: bool,
    ignore_unknown_fields: bool,
    positions: bool | None,
) -> int:
    """Check that each FILE is a rule file that the server would take."""
    findings = Findings(lint, lint_fatal=lint_fatal, positions=positions)
    _check_rules(files, findings, ignore_unknown_fields=ignore_unknown_fields)
    return findings.exit_code()


def _check_rules(files: tuple[Path, ...], findings: Findings, *, ignore_unknown_fields: bool) -> None:
    if not files:
        return
    from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions  # noqa: PLC0415 # rules alone need it
    from trimon.rules.file import RuleDefaults, load_rule_file  # noqa: PLC0415 # the same

    defaults = RuleDefaults(
        query=QueryOptions(features=ALL_LANGUAGE_FEATURES), ignore_unknown_fields=ignore_unknown_fields
    )
    for file in files:
        click.echo(f"Checking {file}")
        try:
            groups = load_rule_file(file, defaults)
        except UserError as error:
            findings.rule_failure(file, error)
            continue
        doubles = duplicate_rules(groups) if DUPLICATE_RULES in findings.lints else ()
        if doubles:
            found = "".join(f"Metric: {name}\nLabel(s):\n{labels}" for name, labels in doubles)
            findings.lint(
                f"\nlint error {len(doubles)} duplicate rule(s) found.\n{found}"
                "Might cause inconsistency while recording expressions"
            )
            click.echo()
            continue
        click.echo(f"  SUCCESS: {sum(len(group.rules) for group in groups)} rules found\n")


def duplicate_rules(groups: Iterable[GroupSpec]) -> tuple[tuple[str, str], ...]:
    """Name and labels, one a line, of each rule that is there a second time."""
    seen: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    doubles = []
    for group in groups:
        for rule in group.rules:
            key = (rule.record, rule.labels)
            seen[key] += 1
            if seen[key] == 2:
                doubles.append((rule.record, "".join(f"\t{name}: {value}\n" for name, value in rule.labels)))
    return tuple(doubles)
