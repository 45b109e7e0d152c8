"""The contract suite: what comes with trimon and the documented example pass, and each breach is caught."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock

from trimon.config import load_text
from trimon.config.discovery.plugin import PluginSdConfig
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import Found, PreparedFetch, context_of_doubles
from trimon.discovery.example import LocalPorts
from trimon.discovery.mechanisms.file import FileDiscovery
from trimon.discovery.mechanisms.static import StaticDiscovery
from trimon.discovery.plugin import Context, Discovery, Sink, TargetGroup
from trimon.fetch.request import FetchRequest

MANUAL = Path(__file__).parents[2] / "docs" / "plugins.md"
URL = "http://source/"


class TestStatic(DiscoveryContract):
    """The built-in `static` keeps the contract."""

    def make(self, context: Context) -> Discovery:
        return StaticDiscovery({"groups": [{"targets": ["a:1", "b:1"]}]}, context)


class TestFile(DiscoveryContract):
    """The built-in `file` keeps the contract, its file breaking and changing."""

    path: ClassVar[Path]

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        type(self).path = tmp_path / "t.yml"

    def prepare(self, fetch: PreparedFetch) -> None:
        self.path.write_text("- targets: [a:1]\n- targets: [b:1]\n")

    def make(self, context: Context) -> Discovery:
        return FileDiscovery({"files": [str(self.path)], "refresh_s": 30}, context)

    def change(self, fetch: PreparedFetch) -> None:
        self.path.write_text("- targets: [a:1]\n")

    def break_source(self, fetch: PreparedFetch) -> None:
        self.path.write_text("- targets: [a:1]\n- nonsense\n")

    def test_a_source_broken_from_the_start_publishes_nothing(self) -> None:
        """Unlike others: a file that is bad from the start is like no file, and the good ones must not wait."""
        self.break_source(PreparedFetch())
        good = self.path.with_name("good.yml")
        good.write_text("- targets: [c:1]\n")

        async def scene() -> list[str]:
            found = Found()
            discovery = FileDiscovery({"files": [str(self.path), str(good)]}, context_of_doubles())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(discovery.run, found.sink)
                await found.wait_published()
                nursery.cancel_scope.cancel()
            return [labels["__address__"] for labels in found.targets]

        assert trio.run(scene, clock=MockClock(autojump_threshold=0)) == ["c:1"]


class TestLocalPorts(DiscoveryContract):
    """The example that comes with trimon keeps the contract, in real time and with real sockets."""

    real_time = True
    patience_s = 3.0
    listening: ClassVar[socket.socket]
    silent: ClassVar[socket.socket]

    @pytest.fixture(autouse=True)
    def _sockets(self) -> Iterator[None]:
        with socket.socket() as listening, socket.socket() as silent:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            silent.bind(("127.0.0.1", 0))
            type(self).listening, type(self).silent = listening, silent
            yield

    def make(self, context: Context) -> Discovery:
        ports = [each.getsockname()[1] for each in (self.listening, self.silent)]
        return LocalPorts({"ports": ports, "refresh_s": 0.2}, context)

    def change(self, fetch: PreparedFetch) -> None:
        self.silent.listen()


class Listed:
    """A well-behaved discovery over the prepared fetch, to be broken in one way each."""

    def __init__(self, context: Context) -> None:
        self.context = context

    async def get(self) -> list[str]:
        response = await self.context.fetch.send(FetchRequest(URL))
        return response.body.decode().split()

    async def run(self, sink: Sink) -> None:
        while True:
            sink.publish([TargetGroup.of_addresses("s", await self.get())])
            await trio.sleep(10)


class SwallowsErrors(Listed):
    async def get(self) -> list[str]:
        try:
            return await super().get()
        except OSError:
            return []


class Deaf(Listed):
    async def run(self, sink: Sink) -> None:
        sink.publish([TargetGroup.of_addresses("s", await self.get())])
        await trio.sleep_forever()


class Hog(Listed):
    async def run(self, sink: Sink) -> None:
        time.sleep(0.4)  # noqa: ASYNC251 - this is its breach
        await super().run(sink)


class Mute(Listed):
    async def run(self, sink: Sink) -> None:
        await trio.sleep_forever()


class Random(Listed):
    made = 0

    async def get(self) -> list[str]:
        type(self).made += 1
        return [f"host{self.made}:1"]


class Nameless(Listed):
    async def run(self, sink: Sink) -> None:
        sink.publish([TargetGroup("s", [{"x": "y"}])])
        await trio.sleep_forever()


def suite(cls: type[Listed]) -> DiscoveryContract:
    class Suite(DiscoveryContract):
        def make(self, context: Context) -> Discovery:
            return cls(context)

        def prepare(self, fetch: PreparedFetch) -> None:
            fetch.answers[URL] = "a:1 b:1"

        def change(self, fetch: PreparedFetch) -> None:
            fetch.answers[URL] = "a:1"

        def break_source(self, fetch: PreparedFetch) -> None:
            fetch.answers[URL] = OSError("down")

    return Suite()


def contract_tests(contract: DiscoveryContract) -> Mapping[str, Callable[[], None]]:
    return {name: getattr(contract, name) for name in dir(contract) if name.startswith("test_")}


@pytest.mark.parametrize(
    ("cls", "failing"),
    [
        (Listed, set()),
        (
            SwallowsErrors,
            {
                "test_a_broken_source_takes_nothing_away",
                "test_a_source_broken_from_the_start_publishes_nothing",
            },
        ),
        (Deaf, {"test_a_change_is_published"}),
        (Hog, {"test_it_does_not_hold_the_loop"}),
        (Random, {"test_two_runs_say_the_same"}),
        (Nameless, {"test_first_publish_comes_and_is_valid", "test_a_change_is_published"}),
    ],
)
def test_each_breach_is_caught_by_its_test(cls: type[Listed], failing: set[str]) -> None:
    """A good discovery passes the suite; one that breaks a rule fails the test of that rule at least."""
    failed = set()
    for name, test in contract_tests(suite(cls)).items():
        try:
            test()
        except AssertionError:
            failed.add(name)
    if cls in (Listed, Deaf, Hog):
        assert failed == failing
    assert failing <= failed


def test_a_discovery_that_never_publishes_fails_everything_that_needs_it() -> None:
    """Without a first publish nearly all of the contract is broken."""
    for name, test in contract_tests(suite(Mute)).items():
        if name in (
            "test_constructor_publishes_nothing",
            "test_a_source_broken_from_the_start_publishes_nothing",
        ):
            continue
        with pytest.raises(AssertionError, match="nothing was published"):
            test()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_of_the_manual_keeps_the_contract(tmp_path: Path) -> None:
    """The documented plug-in is under 25 lines, and the documented tests of it pass under pytest as they stand."""
    example, tests = blocks("python")
    assert len(example.splitlines()) < 25
    (tmp_path / "inventory.py").write_text(example)
    (tmp_path / "test_inventory.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{MANUAL.parents[1]}:{tmp_path}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "8 passed" in done.stdout, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_the_configuration_of_the_manual_loads() -> None:
    """The documented job is a valid one."""
    (config,) = blocks("yaml")
    (source,) = load_text(config, "p.yml").scrape_configs[0].discovery()
    assert isinstance(source, PluginSdConfig)
    assert source.plugin == "inventory:Inventory"
