"""Stand-ins of the services behind discoveries, with what a real Prometheus 3.14 made of them, beside the repository.

A scenario has steps; a step changes the data of the stand-in, or breaks it. `play` runs the discovery of each scenario
against its stand-in, all at once, and tells after each step where its targets differ from the recorded ones.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from tests.support.oracle import ORACLE
from tests.support.ports import free_port
from trimon.clock import WallClock
from trimon.config.load import load
from trimon.config.scrape import ScrapeConfig
from trimon.discovery.hub import Hub
from trimon.discovery.mechanisms.kubernetes import access
from trimon.discovery.plugin import Context
from trimon.discovery.provider import ProviderRun
from trimon.discovery.providers import Provider, consumer_of, providers_of
from trimon.discovery.registry import Registry
from trimon.errors import TrimonError, UserError
from trimon.fetch import proxychoice
from trimon.fetch.client import HttpFetch
from trimon.log import LogBuffer
from trimon.offload import ThreadOffload
from trimon.scrape.target import DroppedTarget, build_target
from trimon.server.jobs import pool_options

ROOM: Final = ORACLE / "discovery"
# How long a step lasts at least, so that what must not change has its time to; and at most, when it does not come right.
STEP_S: Final = 2.2
STEP_S_MAX: Final = 25.0
RESTART_S: Final = 0.5
# What the scenarios are recorded with; so that none of this machine's own settings counts.
NOT_SET: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def scenarios(*mechanisms: str) -> list[str]:
    """The names `mechanism.scenario` of what was recorded, of mechanisms or those named; empty without recordings."""
    folder = ROOM / "truth"
    names = sorted(path.name.removesuffix(".json") for path in folder.glob("*.json"))
    return [name for name in names if not mechanisms or {name, name.partition(".")[0]} & {*mechanisms}]


def require() -> None:
    """Skip the test, and say so, where there are no stand-ins."""
    if not ROOM.is_dir():
        pytest.skip("no stand-ins of discovered services beside the repository (discovery)")


@contextmanager
def standin_modules() -> Iterator[tuple[Any, Any]]:
    """The modules `standins` and `standin.core`."""
    sys.path.insert(0, str(ROOM))
    try:
        yield importlib.import_module("standins"), importlib.import_module("standin.core")
    finally:
        sys.path.remove(str(ROOM))


@dataclass(slots=True)
class Scene:
    """One scenario: its stand-in, the job that is to find its targets, and what was recorded."""

    name: str
    server: Any
    scenario: dict[str, Any]
    truth: dict[str, Any]
    job: ScrapeConfig
    places: dict[str, str]
    """Placeholders for what differs from run to run."""
    differences: list[str] = field(default_factory=list)
    log: LogBuffer = field(default_factory=LogBuffer)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the scenario wants set."""
        with standin_modules() as (_, core):
            found: dict[str, str] = core.fill(self.scenario.get("env", {}), self.server.placeholders())
            return found

    def wanted(self, step: int) -> tuple[set[str], set[str]]:
        """The recorded targets of a step, active ones and dropped ones."""
        recorded = self.truth["steps"][step]
        active = {_line(each["discoveredLabels"], each["labels"]) for each in recorded["active"]}
        return active, {_line(each["discoveredLabels"]) for each in recorded["dropped"]}

    def found(self, hub: Hub, wanted: set[str]) -> tuple[set[str], set[str]]:
        """What is known now, in the same form.

        Targets whose labels are equal in the end are one; of the discovered labels of all of them those that are wanted count,
        since Prometheus shows any.
        """
        options = pool_options(self.job)
        active: dict[str, str] = {}
        dropped = set()
        for labels in hub.targets(self.job.job_name):
            try:
                target = build_target(labels, options)
            except UserError:  # a target without address, which is no target
                continue
            discovered = self._placed(dict(target.discovered))
            if isinstance(target, DroppedTarget):
                dropped.add(_line(discovered))
            else:
                labels_line = _line(self._placed(dict(target.labels)))
                line = _line(discovered, self._placed(dict(target.labels)))
                if active.get(labels_line) not in wanted:
                    active[labels_line] = line
        return set(active.values()), dropped

    def _placed(self, labels: dict[str, str]) -> dict[str, str]:
        text = json.dumps(labels)
        for value, place in self.places.items():
            text = text.replace(value, place)
        placed: dict[str, str] = json.loads(text)
        return placed


def _line(*label_sets: Mapping[str, str]) -> str:
    return json.dumps(label_sets, sort_keys=True)


def scene(name: str, folder: Path, authority: Any) -> Scene:
    """Start the stand-in of a scenario; `close` ends it."""
    mechanism, _, which = name.partition(".")
    with standin_modules() as (standins, core):
        scenario = core.load_scenario(mechanism, which, [str(ROOM)])
        # Nothing is written where a pod has its account: the test says where that is.
        scenario = json.loads(json.dumps(scenario).replace(str(access.ACCOUNT), str(account(folder))))
        # A name server would take the port beside that of its HTTP server, which may be somebody else's.
        scenario.setdefault("dns_port", free_port())
        server = standins.start(mechanism, scenario, 0, authority)
    truth = json.loads((ROOM / "truth" / f"{name}.json").read_text(encoding="utf-8"))
    config = server.filled_config()
    job = {
        "job_name": f"{mechanism}-{which}",
        scenario["key"]: config if isinstance(config, list) else [config],
        "proxy_url": "http://127.0.0.1:9",
        "relabel_configs": scenario.get("relabel_configs") or [],
    }
    whole = {"global": {"scrape_interval": "6h", "scrape_timeout": "10s"}, "scrape_configs": [job]}
    path = folder / f"{name}.yml"
    path.write_text(json.dumps(whole), encoding="utf-8")
    loaded = load(path).scrape_configs[0]
    places = server.placeholders()
    named = {places[key]: f"${{{key}}}" for key in ("ZK", "DNS", "SOCK") if key in places}
    named |= {
        f"127.0.0.1:{server.port}": "${HOSTPORT}",
        f"localhost:{server.port}": "localhost:${PORT}",
        f".tri.example:{server.port}": ".tri.example:${PORT}",
        authority.ca: "${CA}",
        authority.dir: "${DIR}",
    }
    return Scene(name, server, scenario, truth, loaded, named)


def account(folder: Path) -> Path:
    """Where scenarios put the service account of a pod; `folder` is where they are played."""
    return folder / "serviceaccount"


def new_authority(folder: Path) -> Any:
    """A throw-away authority for certificates of stand-ins."""
    with standin_modules() as (_, core):
        return core.Authority(str(folder / "ca"))


async def play(scenes: Iterable[Scene]) -> None:
    """Play scenes side by side to their ends; what differs is in their `differences`."""
    async with trio.open_nursery() as nursery:
        for each in scenes:
            nursery.start_soon(_play_one, each)


async def _play_one(played: Scene) -> None:
    consumer = consumer_of(played.job)
    providers = providers_of([consumer])
    hub = Hub()
    hub.wire({consumer.name: list(providers)})
    async with trio.open_nursery() as nursery:
        for provider in providers.values():
            nursery.start_soon(_keep_running, played, provider, hub)
        for step in range(len(played.truth["steps"])):
            if step:
                await trio.to_thread.run_sync(played.server.state.advance, step)
            await _compare(played, hub, step)
        nursery.cancel_scope.cancel()


async def _keep_running(played: Scene, provider: Provider, hub: Hub) -> None:
    """Run a provider, and again when it raises what the world is to blame for, as its supervisor does."""
    while True:
        options = provider.client()
        context = Context(
            provider.key,
            HttpFetch(options),
            WallClock(),
            ThreadOffload(2),
            played.log,
            lambda: HttpFetch(options),  # noqa: B023 # it is called while this turn of the loop lasts
        )
        try:
            await ProviderRun(provider, Registry(), hub, context).run()
        except (TrimonError, OSError, trio.TooSlowError):
            await trio.sleep(RESTART_S)
        else:
            return


async def _compare(played: Scene, hub: Hub, step: int) -> None:
    wanted = played.wanted(step)
    await trio.sleep(STEP_S)
    with trio.move_on_after(STEP_S_MAX):
        while played.found(hub, wanted[0]) != wanted:  # noqa: ASYNC110 # it also follows from what the stand-in does
            await trio.sleep(0.1)
    found = played.found(hub, wanted[0])
    for kind, want, got in zip(("active", "dropped"), wanted, found, strict=True):
        about = f"{played.name} step {step} {kind}"
        played.differences += [f"{about} missing: {line}" for line in sorted(want - got)]
        played.differences += [f"{about} extra:   {line}" for line in sorted(got - want)]


def close(played: Scene) -> None:
    """End the stand-in, and remove the folder that it made for its socket."""
    played.server.shutdown()
    played.server.server_close()
    socket = played.server.placeholders().get("SOCK")
    if socket is not None:
        shutil.rmtree(Path(socket).parent, ignore_errors=True)


def set_environment(monkeypatch: pytest.MonkeyPatch, played: Iterable[Scene]) -> None:
    """The environment that scenes want; nothing of this machine's."""
    for name in list(os.environ):
        if name.lower() in NOT_SET or name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # What it says of proxies is remembered; here by this test alone.
    monkeypatch.setattr(proxychoice, "_of_environment", cache(proxychoice._of_environment.__wrapped__))
    for each in played:
        for name, value in each.environment.items():
            monkeypatch.setenv(name, value)
