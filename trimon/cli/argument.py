"""Types of command line arguments."""

from __future__ import annotations

from pathlib import Path

import click


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
