"""`trimon config`: what a configuration would change in a running server, and taking it over with a way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from trimon import limits
from trimon.cli.argument import http_config_option
from trimon.cli.askedserver import AskedServer
from trimon.config.load import read_text
from trimon.units import parse_duration_ms

EXIT_ROLLED_BACK = 2


@click.group("config", help="Plan and apply configurations of a running server.")
def config() -> None:
    """The group of configuration commands."""


server_option = click.option(
    "--server", default="http://localhost:9090", show_default=True, help="URL of the server."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")


@config.command("plan")
@click.argument("file", type=click.Path(path_type=Path))
@server_option
@json_option
@http_config_option
def plan(file: Path, server: str, as_json: bool, http_config: Path | None) -> None:
    """Say what FILE would change: targets, series, rules."""
    text = read_text(file, limits.CONFIG_FILE_BYTES_MAX)
    found = AskedServer(server, http_config).post_text("/api/v1/config/plan", text)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(_lines(found)))


@config.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--watch", default="1m", show_default=True, help="How long to watch targets and rules; 0: not at all."
)
@server_option
@json_option
@http_config_option
@click.pass_context
def apply(
    context: click.Context, file: Path, watch: str, server: str, as_json: bool, http_config: Path | None
) -> None:
    """Take FILE over, and go back when targets or rules fail by it; the exit code is 2 then."""
    text = read_text(file, limits.CONFIG_FILE_BYTES_MAX)
    watch_s = 0.0 if watch == "0" else parse_duration_ms(watch) / 1000
    path = f"/api/v1/config/apply?watch={watch}"
    found = AskedServer(server, http_config).post_text(path, text, watch_s)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n".join(_lines(found["plan"])))
        click.echo(found["outcome"] + (f": {found['reason']}" if found["reason"] else ""))
    if found["outcome"] != "applied":
        context.exit(EXIT_ROLLED_BACK)


def _lines(plan: dict[str, Any]) -> list[str]:
    """A plan for people."""
    lines: list[str] = []
    for job in plan["jobs"]:
        lines.append(
            f"job {job['job']}: {job['change']}, targets {_step(job['targets'])}, series {_step(job['series'])}"
        )
        lines += [f"  + {target}" for target in job["gained"]["targets"]]
        lines += [f"  - {target}" for target in job["lost"]["targets"]]
        lines += [f"  {note}" for note in job["notes"]]
    for group in plan["ruleGroups"]:
        lines.append(
            f"rules {group['file']} {group['group']}: {group['change']}, rules {_step(group['rules'])}"
        )
    lines += [f"{section}: changed" for section in ("global", "alerting") if plan[section] == "changed"]
    lines += [f"in vain: {setting}" for setting in plan["unsupported"]]
    return lines or ["nothing changes"]


def _step(numbers: dict[str, int | None]) -> str:
    then = "not known yet" if numbers["then"] is None else numbers["then"]
    return f"{numbers['now']} -> {then}"
