"""Builds the compiled loops when a wheel or an editable install is made: `trimon/compiled/*.c` become `loops.so` beside them.

A compiler is all it takes, and it is no requirement: without one trimon runs the Python twins of the same loops, slower, and
says so. `TRIMON_COMPILED=required` makes a failure an error, `TRIMON_COMPILED=skip` leaves it out. A build remembers the hash
of its sources beside it.

`python scripts/build_loops.py` builds by hand, after a change of a source.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

# No -march: the library runs on every machine of its architecture. No -ffast-math: numbers are to be exact.
FLAGS: Final = ("-O3", "-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")
_TIMEOUT_S: Final = 300.0


class CompileError(Exception):
    """The loops could not be built."""


def source_hash(folder: Path) -> str:
    """SHA-256 over flags, names and contents of all sources."""
    total = hashlib.sha256(" ".join(FLAGS).encode())
    for path in sorted([*folder.glob("*.c"), *folder.glob("*.h")]):
        total.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()


def build_loops(folder: Path) -> bool:
    """Builds the loops if it is not built; whether it had to. Raises CompileError."""
    wanted, made, mark = source_hash(folder), folder / "loops.so", folder / "loops.sha256"
    if made.exists() and mark.exists() and mark.read_text().strip() == wanted:
        return False
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang"))), None)
    if compiler is None:
        raise CompileError("there is no C compiler")
    beside = folder / f"loops.{os.getpid()}.tmp"
    try:
        done = subprocess.run(  # noqa: S603 # the compiler that was just found
            [compiler, *FLAGS, "-o", str(beside), *map(str, sorted(folder.glob("*.c"))), "-lm"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise CompileError(f"{compiler} failed: {done.stderr[-2000:].strip()}")
        # A process that has the old library mapped keeps it.
        beside.replace(made)
        mark.write_text(f"{wanted}\n")
    except (OSError, subprocess.SubprocessError) as error:
        raise CompileError(str(error)) from error
    finally:
        beside.unlink(missing_ok=True)
    return True


if __name__ == "__main__":
    try:
        print("built" if build_loops(Path(__file__).parents[1] / "trimon" / "compiled") else "is built")
    except CompileError as error:
        sys.exit(str(error))
