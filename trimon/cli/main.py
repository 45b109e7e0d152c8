"""The `trimon` command: without a command it is the server, with Prometheus' flags.

Each command is imported when it is asked for: `check` and `--version` do not wait for the server's imports.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from trimon import PROMETHEUS_VERSION, __version__
from trimon.cli.server.commandline import CommandLineError, ServerFlags, read_command_line, usage

if TYPE_CHECKING:
    import click

EXIT_AGENT: Final = 3
COMMANDS: Final = {
    "check": "trimon.cli.check:check",
    "config": "trimon.cli.config:config",
    "debug": "trimon.cli.debug:debug",
    "demo": "trimon.cli.demo:demo",
    "promql": "trimon.cli.promql:promql",
    "push": "trimon.cli.metrics.commands:push",
    "query": "trimon.cli.ask:query",
    "rules": "trimon.cli.backtest:rules",
    "test": "trimon.cli.unittests:test",
    "tsdb": "trimon.cli.tsdb:tsdb",
}
# The exit code of errors where 1 says something else: `diff` does so, too.
FAILED: Final[dict[tuple[str, ...], int]] = {("rules", "backtest"): 2}


def command(name: str) -> click.Group:
    """The group of a command."""
    import importlib  # noqa: PLC0415 # see above

    module, _, attribute = COMMANDS[name].partition(":")
    group: click.Group = getattr(importlib.import_module(module), attribute)
    return group


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command or the server, and ends the process with its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        try:
            _run(arguments)
        finally:
            sys.stdout.flush()
    except OSError as error:
        sys.exit(_unwritable(error, _failed(arguments)))


def _failed(arguments: Sequence[str]) -> int:
    """The exit code of an error of a command."""
    return FAILED.get(tuple(arguments[:2]), 1)


def _unwritable(error: OSError, code: int) -> int:
    """Ends the output, which nobody reads or takes any more; the exit code."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # an output that is no file
        number = -1
    if number >= 0:  # what is still in the buffer would fail again at the end of the process
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
    if not isinstance(error, BrokenPipeError):
        print(f"trimon: error: {_reason(error)}", file=sys.stderr)
    return code


def _reason(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}{(error.strerror or str(error)).lower()}"


def _run(arguments: Sequence[str]) -> None:
    if arguments and arguments[0] in COMMANDS:
        sys.exit(_run_command(arguments[0], list(arguments[1:])))
    try:
        flags = read_command_line(arguments)
    except CommandLineError as error:
        sys.exit(_refused(error))
    if flags.help:
        print(usage())
        return
    if flags.version:
        print(f"trimon, version {__version__} (speaks as prometheus, version {PROMETHEUS_VERSION})")
        return
    if wrong := _wrong_mode(flags):
        print(wrong, file=sys.stderr)
        sys.exit(EXIT_AGENT)
    # Nothing here multiplies matrices that are worth threads of their own, which take time and memory to begin with.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # until `Collector.start`: a fifth of a start was looking at what modules are made of
    from trimon.cli.server.serve import main as serve  # noqa: PLC0415 # see above

    sys.exit(serve(flags))


def _run_command(name: str, arguments: list[str]) -> int:
    import click  # noqa: PLC0415 # see above

    from trimon.errors import TrimonError  # noqa: PLC0415 # see above
    from trimon.redaction import redacted  # noqa: PLC0415 # see above

    failed = _failed([name, *arguments])
    try:
        code = command(name).main(
            arguments,
            f"trimon {name}",
            standalone_mode=False,
            help_option_names=["-h", "--help"],
            max_content_width=120,
        )
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return failed
    except click.UsageError as error:
        print(f"trimon: error: {_usage_error(error)}, try --help", file=sys.stderr)
        return failed
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return failed
    except TrimonError as error:
        print(f"trimon: error: {redacted(str(error))}", file=sys.stderr)
        return failed
    return code if isinstance(code, int) else 0


def _usage_error(error: click.UsageError) -> str:
    """What is wrong with a command's arguments, in the words of the server's own."""
    import click  # noqa: PLC0415 # see above

    match error:
        case click.NoSuchOption():
            near = error.possibilities
            hint = f" (did you mean {near[0]}?)" if near else ""
            return f"unknown long flag '{error.option_name}'{hint}"
        case click.MissingParameter() if error.param is not None:
            return f"required argument '{error.param.name}' not provided"
        case click.BadParameter():
            return error.message.rstrip(".")
        case _:
            return error.format_message().rstrip(".")


def _refused(error: CommandLineError) -> int:
    print(f"Error parsing command line arguments: {error.message}", file=sys.stderr)
    if error.exit_code == 1:
        hint = f" ({error.hint})" if error.hint else ""
        print(f"trimon: error: {error.message}{hint}", file=sys.stderr)
    else:
        print(usage())
    return error.exit_code


def _wrong_mode(flags: ServerFlags) -> str:
    """The error of flags of the other mode."""
    from trimon.cli.server.flags import BY_NAME  # noqa: PLC0415 # see above

    agent = flags["agent"]
    other = "server" if agent else "agent"
    wrong = [f'"--{name}"' for name in flags.given if BY_NAME[name].mode == other]
    if not wrong:
        return ""
    words = "can not be used in agent mode" if agent else "can only be used in agent mode"
    return f"The following flag(s) {words}: [{' '.join(wrong)}]"
