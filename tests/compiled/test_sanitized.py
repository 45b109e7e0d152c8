"""The compiled loops with every access and every operation checked: nothing is read or written beyond a length."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import ROOT, absent, peer

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer")
# What the loops read comes from outside through these.
FED = (
    "test_exposition.py",
    "test_inflate.py",
    "test_loosesamples.py",
    "test_pairtexts.py",
    "test_runs.py",
    "test_seriestable.py",
    "test_writerequest.py",
)


def runtime(name: str, compiler: str) -> str:
    """The sanitizer's own library, which has to be loaded before Python."""
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


@pytest.mark.slow
def test_no_loop_leaves_its_arrays(tmp_path: Path) -> None:
    """The tests of generated and damaged input pass with a library that ends the process at the first bad access."""
    compiler = peer("gcc")
    if not Path(runtime("libasan.so", compiler)).is_absolute():
        absent("gcc's sanitizers")
    for folder in ("trimon", "tests"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("ui", "static", "*.so")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    sources = sorted(map(str, (tmp_path / "trimon/compiled").glob("*.c")))
    library = tmp_path / "trimon/compiled/loops.so"
    flags = ("-g", "-O1", "-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", *SANITIZERS)
    subprocess.run([compiler, *flags, "-o", str(library), *sources, "-lm"], check=True)
    preloaded = " ".join(runtime(name, compiler) for name in ("libasan.so", "libubsan.so"))
    environment = os.environ | {
        "LD_PRELOAD": preloaded,
        "ASAN_OPTIONS": "detect_leaks=0",
        # Python's own arenas have no room around an object for a bad access to land in.
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(tmp_path),
        "TRIMON_COMPILED": "required",
    }
    tests = [f"tests/compiled/{name}" for name in FED]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-s", "-p", "no:xdist", *tests],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
