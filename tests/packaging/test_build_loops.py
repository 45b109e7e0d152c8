"""The build of the loops: when it builds, what it does without a compiler, and which library is loaded."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from trimon.compiled import library
from trimon.errors import OperatingError

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_loops.py"
SOURCES = Path(library.__file__).parent


@pytest.fixture
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_loops", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in (*SOURCES.glob("*.c"), *SOURCES.glob("*.h")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_it_builds_once_for_the_same_sources(build: ModuleType, folder: Path) -> None:
    """A second build of the same sources does nothing; a changed one is built anew, and what it makes can be loaded."""
    assert build.build_loops(folder)
    assert not build.build_loops(folder)
    assert library._opened(folder / "loops.so")
    (folder / "version.c").write_text((folder / "version.c").read_text() + "\n")
    assert build.build_loops(folder)


def test_a_fault_of_a_source_is_told_and_the_old_library_stays(build: ModuleType, folder: Path) -> None:
    """The compiler's words are in the error; nothing half-made is left."""
    assert build.build_loops(folder)
    (folder / "version.c").write_text("int f(void) { return nothing; }")
    with pytest.raises(build.CompileError, match="nothing"):
        build.build_loops(folder)
    assert library._opened(folder / "loops.so")
    assert not list(folder.glob("*.tmp"))


def test_without_a_compiler_it_says_so(
    build: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no library then, and an error says why."""
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(build.CompileError, match="no C compiler"):
        build.build_loops(folder)


def test_a_library_of_another_age_is_not_loaded(build: ModuleType, folder: Path) -> None:
    """Whose version is another takes other arguments: it is refused with both numbers."""
    header = folder / "loops.h"
    header.write_text(header.read_text().replace("TRIMON_LOOPS_VERSION ", "TRIMON_LOOPS_VERSION 9"))
    build.build_loops(folder)
    with pytest.raises(OperatingError, match=f"version 9{library.VERSION}, wanted is {library.VERSION}"):
        library._opened(folder / "loops.so")


def test_versions_of_header_and_python_are_the_same() -> None:
    """A build of these sources is one that these callers load."""
    assert f"#define TRIMON_LOOPS_VERSION {library.VERSION}\n" in (SOURCES / "loops.h").read_text()


def test_switched_off_there_is_no_function() -> None:
    """TRIMON_COMPILED=off gives callers None, and says why."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from trimon.compiled import library as l; print(l.function('trimon_loops_version', l.INT32, ()), l.MISSING)",
        ],
        env={**os.environ, "TRIMON_COMPILED": "off"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "None switched off by TRIMON_COMPILED=off\n"


@pytest.mark.skipif("CI" not in os.environ, reason="a machine without a compiler may run the tests too")
def test_this_machine_has_the_library() -> None:
    """Where everything is to be proved, the compiled loops are what runs."""
    assert library.MISSING == ""
