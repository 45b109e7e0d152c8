"""`trimon rules backtest`: what the rules of a file would have done, asked of a server or of a data directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click
import orjson

from trimon import limits
from trimon.cli.argument import ExistingFile, http_config_option
from trimon.cli.askedserver import AskedServer
from trimon.cli.findings import features_option
from trimon.cli.server.features import named_features
from trimon.clock import WallClock
from trimon.config.filetext import read_text
from trimon.errors import OperatingError, UserError
from trimon.files import DiskFiles, is_in_use
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.rules.alerting import AlertOrigin
from trimon.rules.backtest.report import BacktestRequest
from trimon.rules.backtest.run import Span
from trimon.rules.backtest.text import report_lines
from trimon.rules.file import load_rule_file
from trimon.rules.spec import RuleDefaults
from trimon.storage.prometheus.coexistence import read_directory
from trimon.storage.tools.offline import open_offline
from trimon.units import parse_duration_ms
from trimon.web.http.parameters import parse_time_ms

PATH: Final = "/api/v1/rules/backtest"
# The answer of a server that takes all its time is on its way for a while.
SLACK_S: Final = 30.0


@click.group("rules", help="Try rules on stored samples.")
def rules() -> None:
    """The group of commands about rules."""


@rules.command("backtest")
@click.argument("file", type=ExistingFile())
@click.option("--compare", type=ExistingFile(), help="The old version of FILE: show what FILE changes.")
@click.option("--url", default="", help="The server to ask.  [default: http://localhost:9090]")
@click.option(
    "--storage.tsdb.path",
    "directory",
    type=click.Path(path_type=Path),
    help="Read this data directory and ask no server.",
)
@click.option("--start", required=True, help="First time, RFC 3339 or Unix seconds.")
@click.option("--end", default="", help="Last time; now when missing.")
@click.option("--interval", default="", help="Interval of all groups instead of their own.")
@click.option("--rule", "names", multiple=True, help="Show this rule alone. Repeatable.")
@click.option("--timeout", default="2m", show_default=True, help="How long it may take.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="Of the output.",
)
@features_option
@http_config_option
def backtest(
    file: Path,
    compare: Path | None,
    url: str,
    http_config: Path | None,
    directory: Path | None,
    start: str,
    end: str,
    interval: str,
    names: tuple[str, ...],
    timeout: str,
    form: str,
    features: tuple[str, ...],
) -> int:
    """Show what the rules of FILE would have done: when alerts would have been pending and firing, and what is recorded.

    With --compare lines of the old version begin with -, those of FILE with +, and the exit code is 1 when they differ. It
    is 2 for every error.
    """
    if url and directory is not None:
        raise UserError("--url and --storage.tsdb.path exclude one another")
    if features and directory is None:
        raise UserError("--enable-feature goes with --storage.tsdb.path; a server has features of its own")
    span = Span(
        parse_time_ms(start),
        parse_time_ms(end) if end else WallClock().now_ms(),
        parse_duration_ms(interval) if interval else 0,
        frozenset(names),
    )
    if span.end_ms < span.start_ms:
        raise UserError("--end is before --start")
    timeout_s = parse_duration_ms(timeout) / 1000
    if directory is None:
        data = _asked(
            AskedServer(url or "http://localhost:9090", http_config), file, compare, span, timeout_s
        )
    else:
        options = QueryOptions(features=frozenset(named_features(features)), timeout_s=timeout_s)
        data = _read(directory, file, compare, span, options)
    if form == "json":
        click.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
    else:
        for line in report_lines(data):
            click.echo(line)
    return int(compare is not None and not data["difference"]["equal"])


def _asked(server: AskedServer, file: Path, compare: Path | None, span: Span, timeout_s: float) -> Any:
    form: dict[str, Any] = {
        "rules_file": str(file),
        "rules": read_text(file, limits.CONFIG_FILE_BYTES_MAX),
        "start": f"{span.start_ms / 1000:.3f}",
        "end": f"{span.end_ms / 1000:.3f}",
        "timeout": str(timeout_s),
        "rule": sorted(span.rules),
    }
    if span.interval_ms:
        form["interval"] = str(span.interval_ms / 1000)
    if compare is not None:
        form["compare"] = read_text(compare, limits.CONFIG_FILE_BYTES_MAX)
        form["compare_file"] = str(compare)
    data, warnings = server.post(PATH, form, timeout_s + SLACK_S)
    _warn(warnings)
    return data


def _read(directory: Path, file: Path, compare: Path | None, span: Span, options: QueryOptions) -> Any:
    """The answer over a directory. Problems of its samples are told on standard error."""
    defaults = RuleDefaults(query=options)
    groups = load_rule_file(file, defaults)
    compared = None if compare is None else load_rule_file(compare, defaults)
    directory = read_directory(DiskFiles(), directory)
    opened = open_offline(DiskFiles(), directory)
    if not opened.is_data_directory:
        raise OperatingError(
            f"{directory}: there is neither a block nor a log in it, so it is no data directory"
        )
    if is_in_use(directory):
        _warn(
            [
                f"{directory} is that of a running server: its newest samples may be missing; --url asks the server"
            ]
        )
    _warn((*opened.problems, *opened.left_out))
    request = BacktestRequest(groups, compared, span, str(file), str(compare or ""))
    snapshot = opened.snapshot()
    data = request.answer(snapshot, options, AlertOrigin(), Budget(options))
    _warn((*opened.missing(), *request.warnings(snapshot)))
    return data


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"# {line}", err=True)
