"""The flags as pages show them: with what each is for, and what holds where nobody says anything."""

from __future__ import annotations

from collections.abc import Mapping

from trimon.cli.server.commandline import ServerFlags, read_value, shown_value
from trimon.cli.server.flags import FLAGS
from trimon.redaction import shown_url


def described_flags(flags: ServerFlags, shown: Mapping[str, str]) -> list[dict[str, object]]:
    """Every flag, our own too, in the order of the table; `shown` has the values that Prometheus' route shows."""
    return [
        {
            "name": flag.name,
            "value": shown.get(flag.name, shown_url(shown_value(flag, flags[flag.name]))),
            "default": shown_value(flag, read_value(flag, flag.default)),
            "given": flag.name in flags.given,
            "own": flag.own,
            "help": flag.help,
            "no_effect": flag.inert,
        }
        for flag in FLAGS
    ]
