"""`trimon check`: looks at files without starting anything, and says what promtool says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from trimon.cli.argument import ExistingFile, http_config_option
from trimon.cli.findings import (
    LONG_INTERVAL,
    Findings,
    compat_option,
    features_option,
    ignore_option,
    lint_fatal_option,
    lint_option,
    positions_option,
)
from trimon.cli.metrics.commands import check_metrics
from trimon.cli.rulefiles import check_rule_files, rules
from trimon.cli.server.flags import STRICT
from trimon.cli.servicediscovery import service_discovery
from trimon.config.alerting import AlertmanagerConfig
from trimon.config.configuration import Config, ConfigError, FlagDefaults
from trimon.config.discovery import FileSdConfig, PluginSdConfig
from trimon.config.globs import expand_glob
from trimon.config.load import load
from trimon.config.references import refuse_missing, refuse_missing_certificates, rule_files
from trimon.config.scrape import ScrapeConfig
from trimon.errors import OperatingError, UserError
from trimon.gotext.strings import go_quote
from trimon.redaction import shown_url
from trimon.units import format_duration, parse_duration_ms

PROBE_TIMEOUT_S: Final = 10.0


@click.group("check", help="Check configuration files.")
def check() -> None:
    """The group of check commands."""


check.add_command(rules)
check.add_command(check_metrics)
check.add_command(service_discovery)


@check.command("config")
@click.argument("files", nargs=-1, required=True, type=ExistingFile())
@click.option("--syntax-only", is_flag=True, help="Look at no other file.")
@click.option("--agent", is_flag=True, help="Refuse what an agent does not take.")
@click.option(
    "--query.lookback-delta", "lookback", default="5m", help="The server's, for too-long-scrape-interval."
)
@lint_option
@lint_fatal_option
@ignore_option
@features_option
@compat_option
@positions_option
def config(  # click's own way of calling
    files: tuple[Path, ...],
    *,
    syntax_only: bool,
    agent: bool,
    lookback: str,
    lint: str,
    lint_fatal: bool,
    ignore_unknown_fields: bool,
    features: tuple[str, ...],
    compat: str,
    positions: bool | None,
) -> int:
    """Check that each FILE is a configuration that the server would take."""
    lookback_ms = parse_duration_ms(lookback)
    findings = Findings(lint, lint_fatal=lint_fatal, positions=positions)
    for file in files:
        click.echo(f"Checking {file}")
        try:
            loaded = load(file, defaults=FlagDefaults(agent=agent, strict=compat == STRICT))
            for name in loaded.unset_variables:
                click.echo(f'level=WARN msg="Empty environment variable" name={name}', err=True)
            paths = () if syntax_only else rule_files(loaded)
            _check_jobs(loaded, syntax_only=syntax_only)
        except UserError as error:
            findings.failure(error)
            click.echo()
            continue
        _check_intervals(loaded, lookback_ms, findings)
        for each in (*loaded.unsupported, *loaded.without_effect):
            findings.warning(str(each), each.place)
        if paths:
            click.echo(f"  SUCCESS: {len(paths)} rule files found")
        click.echo(f" SUCCESS: {file} is valid prometheus config file syntax\n")
        check_rule_files(
            paths, findings, features, ignore_unknown_fields=ignore_unknown_fields, strict=compat == STRICT
        )
    return findings.exit_code()


@check.command("web-config")
@click.argument("files", nargs=-1, required=True, type=ExistingFile())
@compat_option
@positions_option
def web_config(files: tuple[Path, ...], *, compat: str, positions: bool | None) -> int:
    """Check that each FILE is a web configuration, and that what it names can be read."""
    from trimon.web.auth.security import load_security  # noqa: PLC0415 # no other check needs the server's parts

    findings = Findings("none", lint_fatal=False, positions=positions)
    for file in files:
        try:
            security = load_security(file, strict=compat == STRICT)
        except UserError as error:
            findings.failure(error, str(file))
            continue
        for caution in security.cautions:
            findings.caution(caution.message, caution.place)
        click.echo(f"{file} SUCCESS", err=True)
    return findings.exit_code()


def _check_server(url: str, http_config: Path | None, path: str) -> None:
    """Ask a server's probe, and say what it says. Raises OperatingError."""
    from trimon.cli.askedserver import AskedServer  # noqa: PLC0415 # checks of files ask nobody

    answer = AskedServer(url, http_config).page(path, PROBE_TIMEOUT_S)
    if answer.status != 200:
        raise OperatingError(f"check failed: URL={shown_url(url)}, status={answer.status}")
    click.echo(f"  SUCCESS:  {answer.body.decode(errors='replace')}", err=True)


_url_option = click.option("--url", default="http://localhost:9090", show_default=True, help="The server.")


@check.command("healthy")
@_url_option
@http_config_option
def healthy(url: str, http_config: Path | None) -> None:
    """Check that a server is healthy."""
    _check_server(url, http_config, "/-/healthy")


@check.command("ready")
@_url_option
@http_config_option
def ready(url: str, http_config: Path | None) -> None:
    """Check that a server is ready to answer queries."""
    _check_server(url, http_config, "/-/ready")


def _check_jobs(config: Config, *, syntax_only: bool) -> None:
    """What is wrong with files that jobs name, and with their targets. Raises UserError."""
    bad = config.scrape_files_error
    if bad is not None:
        raise ConfigError(f"error loading scrape configs: {bad.message}", bad)
    if not syntax_only:
        _check_plugins(config)
    for job in config.scrape_configs:
        if not syntax_only:
            refuse_missing(job)
        _check_targets([(group.targets, group.labels) for group in job.static_configs], job)
        if not syntax_only:
            for source in job.discovery():
                if isinstance(source, FileSdConfig):
                    where = f"scrape job {go_quote(job.job_name)}"
                    for groups in _target_files(source, where):
                        _check_targets([(targets, tuple(labels.items())) for targets, labels in groups], job)
            for cluster in job.kubernetes_sd_configs:
                refuse_missing_certificates(cluster.tls_config)
    if not syntax_only:
        _check_alerting(config)


def _check_alerting(config: Config) -> None:
    """The same of Alertmanagers."""
    for managers in config.main.alerting.alertmanagers:
        for source in managers.discovery():
            if isinstance(source, FileSdConfig):
                for groups in _target_files(source, "alertmanager config"):
                    _check_alertmanagers(managers, groups)
        _check_alertmanagers(
            managers, [(group.targets, dict(group.labels)) for group in managers.static_configs]
        )


def _check_alertmanagers(managers: AlertmanagerConfig, groups: Sequence[tuple[Any, Any]]) -> None:
    """Every address of Alertmanagers is one after relabelling, or is dropped by it. Raises UserError."""
    from trimon.notify.alertmanagers import AlertmanagerSet  # noqa: PLC0415 # few configurations need it

    compiled = AlertmanagerSet(managers)
    for targets, labels in groups:
        found = compiled.found({**labels, "__address__": target} for target in targets)
        if found.errors:
            raise UserError(found.errors[0])


def _target_files(source: FileSdConfig, user: str) -> Iterator[Sequence[tuple[Any, Any]]]:
    """The groups of every file of a file discovery; one that is not there is told."""
    from trimon.discovery.targetfile import read_target_file  # noqa: PLC0415 # few configurations need it

    for pattern in source.files:
        matches = expand_glob(pattern)
        if not matches:
            click.echo(f"  WARNING: file {go_quote(pattern)} for file_sd in {user} does not exist")
        for match in matches:
            try:
                yield read_target_file(match)
            except UserError as error:
                message = f"checking SD file {go_quote(str(match))}: {error.message}"
                raise UserError(message, error.position) from None


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
