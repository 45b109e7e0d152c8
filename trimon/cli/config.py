"""`trimon config`: what a configuration would change in a running server, and taking it over with a way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import click

from trimon import limits
from trimon.cli.argument import http_config_option
from trimon.cli.askedserver import AskedServer
from trimon.config.filetext import read_text
from trimon.model.labels import format_label_set
from trimon.units import parse_duration_ms

EXIT_ROLLED_BACK: Final = 2
NAME_CHARACTERS_MAX: Final = 1024
NOTHING: Final = "nothing"


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
    query = urlencode({"name": _name(file)})
    found = AskedServer(server, http_config).post_text(f"/api/v1/config/plan?{query}", text)
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
    query = urlencode({"watch": watch, "name": _name(file)})
    asked = AskedServer(server, http_config)
    try:
        found = asked.post_text(f"/api/v1/config/apply?{query}", text, watch_s)
    except KeyboardInterrupt:
        click.echo(
            "interrupted: the server rolls back to the configuration before, unless the watch had just ended",
            err=True,
        )
        context.exit(EXIT_ROLLED_BACK)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo("\n".join(_lines(found["plan"])))
        click.echo(found["outcome"] + (f": {found['reason']}" if found["reason"] else ""))
        for warning in found["warnings"]:
            click.echo(f"WARNING: {warning}")
    if found["outcome"] != "applied":
        context.exit(EXIT_ROLLED_BACK)


def _name(file: Path) -> str:
    """The file as errors of the server are to call it."""
    shown = "".join(character if character.isprintable() else "?" for character in str(file))
    return shown[-NAME_CHARACTERS_MAX:]


def _lines(plan: dict[str, Any]) -> list[str]:
    """A plan for people."""
    lines = [f"WARNING: {warning}" for warning in plan["warnings"]]
    for job in plan["jobs"]:
        lines += _job_lines(job)
    for group in plan["ruleGroups"]:
        lines += _group_lines(group)
    for section in plan["sections"]:
        lines.append(f"{section['section']}: changed")
        lines += _differences(section["fields"])
        lines += [f"  WARNING: {warning}" for warning in section["warnings"]]
    lines += [f"in vain: {setting}" for setting in plan["unsupported"]]
    return lines or ["nothing changes"]


def _job_lines(job: dict[str, Any]) -> list[str]:
    lines = [
        f"job {job['job']}: {job['change']}, targets {_step(job['targets'])}, series {_step(job['series'])}"
    ]
    lines += [f"  + {target}" for target in job["gained"]["targets"]]
    lines += [f"  - {target}" for target in job["lost"]["targets"]]
    for each in job["relabeled"]["targets"]:
        lines.append(
            f"  ~ {each['target']} {_labels(each['now'])} -> {_labels(each['then'])}: "
            f"its {each['series']} series end and begin anew"
        )
    for sort in ("gained", "lost", "relabeled"):
        if more := job[sort]["count"] - len(job[sort]["targets"]):
            lines.append(f"  and {more} more targets {sort}")
    failing = job["wouldFail"]
    if failing["count"]:
        of = "" if job["targets"]["then"] is None else f" of {job['targets']['then']}"
        lines.append(f"  WARNING: by their last scrapes, {failing['count']}{of} targets would fail")
        lines += [f"  ! {each['target']}: {each['reason']}" for each in failing["targets"]]
    return lines + _differences(job["fields"]) + [f"  {note}" for note in job["notes"]]


def _group_lines(group: dict[str, Any]) -> list[str]:
    lines = [f"rules {group['file']} {group['group']}: {group['change']}, rules {_step(group['rules'])}"]
    lines += _differences(group["fields"])
    for rule in group["changedRules"]:
        lines.append(f"  {rule['type']} rule {rule['rule']}: {rule['change']}")
        lines += _differences(rule["fields"], "    ")
    return lines


def _differences(fields: list[dict[str, Any]], indent: str = "  ") -> list[str]:
    return [
        f"{indent}{each['field']}: {each['now'] or NOTHING} -> {each['then'] or NOTHING}" for each in fields
    ]


def _labels(labels: dict[str, str]) -> str:
    return format_label_set(tuple(labels.items()))


def _step(numbers: dict[str, int | None]) -> str:
    then = "not known yet" if numbers["then"] is None else numbers["then"]
    return f"{numbers['now']} -> {then}"
