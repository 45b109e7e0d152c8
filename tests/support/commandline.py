"""The `trimon` command run in this process."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from trimon.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def run_trimon(*arguments: str | Path, text: str | None = None) -> Ran:
    """Runs a command line that ends by itself; `text` is its standard input."""
    code = 0
    given = contextlib.nullcontext() if text is None else patch("sys.stdin", io.StringIO(text))
    with (
        given,
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return Ran(code, out.getvalue(), err.getvalue())
