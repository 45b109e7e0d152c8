"""Findings of checks, and how they are told."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import click

from trimon.cli.server.flags import COMPATIBILITIES
from trimon.errors import Position, UserError
from trimon.redaction import redacted

EXIT_FAILED: Final = 1
EXIT_LINT: Final = 3
DUPLICATE_RULES: Final = "duplicate-rules"
LONG_INTERVAL: Final = "too-long-scrape-interval"
LINTS: Final = (DUPLICATE_RULES, LONG_INTERVAL)

lint_option = click.option(
    "--lint",
    default=DUPLICATE_RULES,
    show_default=True,
    help="What else to look for, comma separated: all, none, duplicate-rules, too-long-scrape-interval.",
)
lint_fatal_option = click.option(
    "--lint-fatal", is_flag=True, help="Exit with 3 when something else is found."
)
ignore_option = click.option(
    "--ignore-unknown-fields", is_flag=True, help="Take rule groups and rules with unknown fields."
)
compat_option = click.option(
    "--compat",
    type=click.Choice(COMPATIBILITIES),
    default=COMPATIBILITIES[0],
    show_default=True,
    help="strict: refuse what Prometheus does not know.",
)
positions_option = click.option(
    "--positions/--no-positions",
    default=None,
    help="Say file, line and column of each failure on a line of its own. Default: on a terminal.",
)
features_option = click.option(
    "--enable-feature",
    "features",
    multiple=True,
    help="What the language of expressions has besides, as the server's flag; comma separated.",
)


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

    def failure(self, error: UserError, file: str = " ") -> None:
        """Tell a failure, after the name of its file where that was not told before."""
        self.failed = True
        click.echo(f"{file} FAILED: {redacted(error.message)}", err=True)
        self._tell_places(error.places)

    def caution(self, message: str, place: Position) -> None:
        """Tell what holds otherwise than a reader may think, where positions are told, too: promtool tells neither."""
        if self._positions:
            click.echo(f"  WARNING: {redacted(message)}", err=True)
            self._tell_places([place])

    def warning(self, message: str, place: Position) -> None:
        """Tell what a good file asks for in vain; it is told wherever, with its place."""
        click.echo(f"  WARNING: {redacted(message)} ({place})", err=True)

    def failures(self, texts: Sequence[str], places: Sequence[Position]) -> None:
        """Tell what is wrong with a rule file, a line a text, and where."""
        self.failed = True
        click.echo("\n".join(["  FAILED:", *texts]), err=True)
        self._tell_places(places)

    def lint(self, text: str) -> None:
        """Tell what is taken and is likely a mistake."""
        self.linted = True
        click.echo(f"  FAILED:{text}", err=True)

    def _tell_places(self, places: Sequence[Position]) -> None:
        for place in places if self._positions else ():
            if place.line:
                click.echo(f"  at {place}", err=True)

    def exit_code(self) -> int:
        """The exit code of all that was found."""
        if self.failed:
            return EXIT_FAILED
        return EXIT_LINT if self.linted and self._lint_fatal else 0
