"""Arguments and options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from trimon.errors import UserError

Command = TypeVar("Command", bound=Callable[..., Any])


class ExistingFile(click.ParamType[Path]):
    """The path of a file that is there."""

    name = "file"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; a usage error for a directory and for nothing."""
        path = Path(str(value))
        if path.is_dir():
            self.fail(f"'{path.name}' is a directory", param, ctx)
        if not path.exists():
            self.fail(f"path '{path}' does not exist", param, ctx)
        return path


def header_option(command: Command) -> Command:
    """The option for headers that requests have besides."""
    return click.option(
        "--header", "headers", multiple=True, help="A header of each request, NAME=VALUE. Repeatable."
    )(command)


def pairs_of(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The pairs of texts NAME=VALUE. Raises UserError for what is none."""
    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f'expected KEY=VALUE got "{text}"')
        found.append((name, value))
    return tuple(found)


def http_config_option(command: Command) -> Command:
    """The option that names a file with the HTTP client block of a configuration."""
    return click.option(
        "--http.config.file",
        "http_config",
        type=ExistingFile(),
        help="File with credentials, TLS and proxy for the server, as in a scrape config.",
    )(command)
