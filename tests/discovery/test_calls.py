"""Plug-ins whose import or constructor hangs, and things that are named as plug-ins and are none."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from trimon.config import Config, load_text
from trimon.discovery.calls import HANGING_MAX, PluginCalls
from trimon.discovery.doubles import context_of_doubles
from trimon.discovery.hub import Hub
from trimon.discovery.provider import ProviderRun
from trimon.discovery.providers import consumer_of, providers_of
from trimon.discovery.registry import Registry, check_plugins
from trimon.errors import UserError
from trimon.offload import AbandoningLanes

MODULE = "hanging_plugin_for_tests"
GOOD = """
class Here:
    def __init__(self, options, context):
        pass

    async def run(self, sink):
        sink.publish([])
"""
# It hangs for as long as the file beside it is there.
WAIT = """
import pathlib, time
def wait():
    while (pathlib.Path(__file__).parent / "hang").exists():
        time.sleep(0.01)
"""
PATIENCE_S = 0.2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the plug-in is; what hangs ends with the test."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    (tmp_path / "hang").unlink(missing_ok=True)
    for thread in threading.enumerate():
        if thread.name.startswith("plug-in "):
            thread.join(5)
    sys.modules.pop(MODULE, None)


def config(*jobs: str, plugin: str = f"{MODULE}:Here") -> Config:
    text = "scrape_configs:\n" + "".join(
        f"- job_name: {job}\n  trimon_sd_configs:\n  - plugin: {plugin}\n    options: {{a: {job}}}\n"
        for job in jobs
    )
    return load_text(text, "/p.yml")


def registry_of(patience_s: float = PATIENCE_S) -> Registry:
    return Registry(list, PluginCalls(patience_s))


def test_a_constructor_that_hangs_is_left_behind(folder: Path) -> None:
    """The check ends with an error that names plug-in and job, waits once for all jobs, and works when it is mended."""
    (folder / f"{MODULE}.py").write_text(WAIT + GOOD.replace("pass", "wait()"))
    (folder / "hang").touch()
    registry = registry_of()
    (error,) = check_plugins(config("one", "two", "three"), registry)
    assert "its constructor took longer than 0.2 s" in error.message
    assert f"{MODULE}:Here" in error.message
    assert '(job "one")' in error.message
    assert error.position.line == 5
    ((plugin, [hanging]),) = registry.calls.hanging().items()
    assert (plugin, hanging["what"]) == (f"{MODULE}:Here", "constructor")
    (folder / "hang").unlink()
    assert check_plugins(config("one"), registry) == []
    deadline_s = time.monotonic() + 5
    while registry.calls.hanging() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not registry.calls.hanging()


def test_calls_that_hang_are_not_repeated_for_ever(folder: Path) -> None:
    """After some that hang no thread is given to the plug-in any more: the check fails at once."""
    (folder / f"{MODULE}.py").write_text(WAIT + GOOD.replace("pass", "wait()"))
    (folder / "hang").touch()
    registry = registry_of()
    for _ in range(HANGING_MAX):
        assert check_plugins(config("one"), registry)
    (error,) = check_plugins(config("one"), registry)
    assert f"{HANGING_MAX} calls of it hang" in error.message
    assert sum(thread.name.startswith("plug-in ") for thread in threading.enumerate()) == HANGING_MAX


def test_an_import_that_hangs_is_left_behind(folder: Path) -> None:
    """The same for the import; the mended file is loaded although the import of the broken one still hangs."""
    (folder / f"{MODULE}.py").write_text(WAIT + "wait()\n" + GOOD)
    (folder / "hang").touch()
    registry = registry_of()
    (error,) = check_plugins(config("one"), registry)
    assert "its import took longer than 0.2 s" in error.message
    assert error.position.line == 4
    (folder / f"{MODULE}.py").write_text(GOOD)
    assert check_plugins(config("one"), registry) == []
    assert [call["what"] for call in registry.calls.hanging()[f"{MODULE}:Here"]] == ["import"]


async def test_a_constructor_that_hangs_later_holds_nothing_up(folder: Path) -> None:
    """At a start of the provider the loop goes on, the start fails, and other plug-ins have threads."""
    (folder / f"{MODULE}.py").write_text(WAIT + GOOD.replace("pass", "wait()"))
    registry = registry_of(1.0)
    assert check_plugins(config("one"), registry) == []
    (folder / "hang").touch()
    (provider,) = providers_of(map(consumer_of, config("one").scrape_configs)).values()
    lanes, turns = AbandoningLanes(2), 0
    run = ProviderRun(provider, registry, Hub(), context_of_doubles(), making=lanes.lane("constructors"))

    async def watch() -> None:
        nonlocal turns
        while True:
            await trio.sleep(0.005)
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        with pytest.raises(UserError, match="constructor took longer"):
            await run.run()
        nursery.cancel_scope.cancel()
    assert turns > 10  # some 200 in a second of patience, on a machine that does nothing else


async def test_a_lane_that_is_full_of_calls_that_hang_is_its_own() -> None:
    """Who leaves all its threads hanging, life after life, takes none from the others."""
    lanes, released = AbandoningLanes(2), threading.Event()
    try:
        for _ in range(2):
            with trio.move_on_after(0.05):
                async with trio.open_nursery() as nursery:
                    for _ in range(5):
                        nursery.start_soon(lanes.lane("bad").run, released.wait)
        with trio.fail_after(8):
            assert await lanes.lane("good").run(lambda: 5) == 5
    finally:
        released.set()


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("os:system", "of type builtin_function_or_method"),
        ("subprocess:Popen", "the class Popen, which has no async run"),
        ("subprocess:run", "a function that does not say that it returns a discovery"),
        ("asyncio:Runner", "the class Runner, which has no async run"),
        ("shutil:rmtree", "of type _RmtreeType|a function that does not say"),
        ("os:environ", "of type _Environ"),
        ("trimon.discovery.plugin:TargetGroup", "the class TargetGroup, which has no async run"),
    ],
)
def test_what_is_no_discovery_is_not_called(
    reference: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else `module:attribute` names is refused with its place, and never called."""
    calls: list[str] = []
    registry = registry_of()
    monkeypatch.setattr(registry, "made", lambda *_: calls.append("made"))
    (error,) = check_plugins(config("one", plugin=f"'{reference}'"), registry)
    assert not calls
    assert any(each in error.message for each in what.split("|")), error.message
    assert error.position.line == 4


def test_a_function_that_says_what_it_returns_is_a_plugin(folder: Path) -> None:
    """A function is called when its annotation names a discovery, also as a text; else it is not."""
    text = GOOD + "def make(options, context) -> 'Here':\n    return Here(options, context)\n"
    text += "def silent(options, context):\n    raise AssertionError('called')\n"
    text += "def odd(options, context) -> 'no such thing':\n    raise AssertionError('called')\n"
    (folder / f"{MODULE}.py").write_text(text)
    registry = registry_of()
    assert check_plugins(config("one", plugin=f"{MODULE}:make"), registry) == []
    for name in ("silent", "odd"):
        (error,) = check_plugins(config("one", plugin=f"{MODULE}:{name}"), registry)
        assert "does not say that it returns a discovery" in error.message
