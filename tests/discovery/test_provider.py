"""Finding plug-ins and running them: the same door for all, and a crash takes no targets away."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio
from trio.testing import MockClock

from trimon.actors.kernel import ChildSpec, Pool, RestartPolicy, State
from trimon.config import load, load_text
from trimon.discovery.doubles import context_of_doubles
from trimon.discovery.hub import Hub
from trimon.discovery.mask import LabelMask
from trimon.discovery.plugin import Context, Discovery, Sink, TargetGroup
from trimon.discovery.provider import ProviderRun
from trimon.discovery.providers import consumer_of, providers_of
from trimon.discovery.registry import BUILT_IN, Registry, check_plugins
from trimon.discovery.sink import BadPublish
from trimon.errors import UserError

SAMPLES = Path(__file__).parents[2] / "config"


class Flaky:
    """Publishes one more target at each life, then crashes."""

    lives = 0
    secret_labels = ("__meta_flaky_pin",)

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self.options = options
        type(self).lives += 1
        self.life = type(self).lives

    async def run(self, sink: Sink) -> None:
        if self.life == 2:
            raise OSError("no source")
        sink.publish([TargetGroup.of_addresses(str(self.life), [f"t{self.life}:1"])])
        await trio.sleep(1)
        raise ValueError("bug")

    def inspect(self) -> dict[str, object]:
        return {"life": self.life, "token": "hunter2"}


class Silent:
    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        pass

    async def run(self, sink: Sink) -> None:
        await trio.lowlevel.checkpoint()


@pytest.fixture
def plugins() -> Iterator[str]:
    """A module with plug-ins that can be imported."""
    module = types.ModuleType("plugins_for_tests")
    Flaky.lives = 0
    vars(module).update(Flaky=Flaky, Silent=Silent, nothing=5)
    sys.modules[module.__name__] = module
    yield module.__name__
    del sys.modules[module.__name__]


def run_of(text: str, hub: Hub, **more: Any) -> ProviderRun:
    config = load_text(f"scrape_configs: [{{job_name: j, {text}}}]", "/p.yml")
    (provider,) = providers_of(map(consumer_of, config.scrape_configs)).values()
    hub.wire({"j": [provider.key]})
    return ProviderRun(provider, Registry(list), hub, context_of_doubles(), **more)


async def test_a_crash_takes_no_targets_away(
    plugins: str, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The last good targets stay while a plug-in is down; its next first publish replaces them."""
    hub = Hub()
    config = load_text(
        f"scrape_configs: [{{job_name: j, trimon_sd_configs: [{{plugin: '{plugins}:Flaky'}}]}}]", "/p.yml"
    )
    (provider,) = providers_of(map(consumer_of, config.scrape_configs)).values()
    hub.wire({"j": [provider.key]})
    registry, context, mask = Registry(list), context_of_doubles(), LabelMask()
    pool: Pool[str] = Pool("discovery")
    policy = RestartPolicy(restarts_max=3, delay_first_s=10, delay_factor=1, jitter=0)
    pool.reconcile(
        {
            provider.key: ChildSpec(
                "p", lambda: ProviderRun(provider, registry, hub, context, mask), policy=policy
            )
        }
    )
    nursery.start_soon(pool.run)

    def addresses() -> list[str]:
        return [labels["__address__"] for labels in hub.targets("j")]

    for at_s, expected in (
        (0.5, "t1:1"),
        (5, "t1:1"),
        (12, "t1:1"),
        (22, "t3:1"),
        (26, "t3:1"),
        (60, "t4:1"),
    ):
        await trio.sleep(at_s - trio.current_time())
        assert addresses() == [expected], at_s
    child = pool.child(provider.key)
    assert child is not None
    assert child.state is State.QUARANTINED
    assert child.last_crash is not None
    assert child.last_crash.error == "ValueError: bug"
    assert mask.is_secret("__meta_flaky_pin")
    assert child.actor is not None
    fields = child.actor.inspect()
    assert fields["fields"] == {"life": 4, "token": "<secret>"}
    assert (fields["published"], fields["targets"]) == (True, 1)
    nursery.cancel_scope.cancel()


async def test_a_discovery_that_says_nothing_is_a_bug(plugins: str) -> None:
    """Returning without a publish would leave the job waiting for ever: it is a crash."""
    run = run_of(f"trimon_sd_configs: [{{plugin: '{plugins}:Silent'}}]", Hub())
    with pytest.raises(BadPublish, match="returned without a publish"):
        await run.run()


async def test_built_in_discoveries_use_the_same_door(tmp_path: Path) -> None:
    """static_configs become a request for the built-in `static`, file_sd_configs for `file`; both are listed."""
    hub = Hub()
    run = run_of("static_configs: [{targets: [a:1], labels: {x: y}}, {targets: [b:1]}]", hub)
    await run.run()
    assert hub.targets("j") == ({"__address__": "a:1", "x": "y"}, {"__address__": "b:1"})
    assert run.inspect()["plugin"] == "static"
    file = run_of(f"file_sd_configs: [{{files: ['{tmp_path}/x.json'], refresh_interval: 5s}}]", hub)
    assert file.provider.request() == ("file", {"files": [f"{tmp_path}/x.json"], "refresh_s": 5.0})
    listed = {info.name: info for info in Registry(list).listing()}
    assert set(listed) == set(BUILT_IN)
    for name in BUILT_IN:
        assert callable(Registry(list).factory(name))


def test_plugins_are_found_by_entry_point(plugins: str) -> None:
    """An entry point of the group is found by its name and listed; it cannot take a built-in's place."""
    points = [
        EntryPoint("flaky", f"{plugins}:Flaky", "trimon.discovery"),
        EntryPoint("static", f"{plugins}:Flaky", "trimon.discovery"),
        EntryPoint("broken", "no_such_module:X", "trimon.discovery"),
    ]
    registry = Registry(lambda: points)
    assert registry.factory("flaky") is Flaky
    assert registry.factory("static") is not Flaky
    with pytest.raises(UserError, match="ModuleNotFoundError"):
        registry.factory("broken")
    listed = {info.name: info for info in registry.listing()}
    assert listed["flaky"].kind == "entry-point"
    assert "ModuleNotFoundError" in listed["broken"].error
    assert listed["static"].kind == "built-in"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope", 'discovery plug-in "nope" not found; there are: '),
        ("no_such_module:X", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("plugins_for_tests:None_", "AttributeError: "),
        ("plugins_for_tests:nothing", "is of type int; a plug-in is a class with async run"),
        (":", "ValueError: "),
    ],
)
def test_a_plugin_that_cannot_be_loaded_says_why(plugins: str, name: str, message: str) -> None:
    """A wrong name is an error with its place in the configuration, and the reason."""
    config = load_text(
        f"scrape_configs: [{{job_name: j, trimon_sd_configs: [{{plugin: '{name}'}}]}}]", "/p.yml"
    )
    registry = Registry(list)
    (error,) = check_plugins(config, registry)
    assert message in str(error)
    assert str(error).startswith("/p.yml:1:53: ")


def test_a_module_that_raises_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that fails in the middle is named and tried again at the next reload."""
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "half_written_plugin.py"
    module.write_text("raise RuntimeError('half written')\n")
    registry = Registry(list)
    with pytest.raises(UserError, match="RuntimeError: half written"):
        registry.factory("half_written_plugin:X")
    module.write_text("class X:\n    async def run(self, sink): ...\n# longer than before\n")
    assert callable(registry.factory("half_written_plugin:X"))
    assert next(info for info in registry.listing() if info.kind == "module").error == ""


def test_the_sample_configuration_loads_its_plugin() -> None:
    """The sample of a custom discovery names a plug-in that exists."""
    config = load(SAMPLES / "custom-discovery.yml")
    assert check_plugins(config, Registry()) == []


class Rude(BaseException):
    """What no clause for exceptions catches."""


@pytest.mark.parametrize("error", [Rude, SystemExit, KeyboardInterrupt])
def test_a_constructor_may_raise_anything(error: type[BaseException], plugins: str) -> None:
    """It is the error of the plug-in, with its place."""

    def make(options: object, context: object) -> Discovery:
        raise error("no")

    vars(sys.modules[plugins])["make"] = make
    config = load_text(
        f"scrape_configs: [{{job_name: j, trimon_sd_configs: [{{plugin: '{plugins}:make'}}]}}]", "/p.yml"
    )
    (wrong,) = check_plugins(config, Registry(list))
    assert f"cannot be made with these options: {error.__name__}: no" in str(wrong)


@pytest.mark.parametrize("kind", ["async", "property", "keys"])
async def test_an_inspect_that_is_wrong_harms_nobody(
    kind: str, plugins: str, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Whatever the figures of a plug-in are, its entry says what is wrong with them, without a warning."""

    class Odd(Flaky):
        async def run(self, sink: Sink) -> None:
            sink.publish([])
            await trio.sleep_forever()

    class Keys(dict[str, object]):
        def keys(self) -> NoReturn:
            raise Rude("keys")

    async def inspect(self: object) -> dict[str, object]:
        return {}

    def raises(self: object) -> NoReturn:
        raise Rude("property")

    how: dict[str, object] = {"async": inspect, "property": property(raises), "keys": lambda self: Keys(a=1)}
    Odd.inspect = how[kind]  # type: ignore[method-assign, assignment]  # it is wrong on purpose
    vars(sys.modules[plugins])["Odd"] = Odd
    run = run_of(f"trimon_sd_configs: [{{plugin: '{plugins}:Odd'}}]", Hub())
    nursery.start_soon(run.run)
    await trio.sleep(1)
    fields = run.inspect()["fields"]
    assert isinstance(fields, dict)
    assert (
        fields
        == {
            "async": {"inspect_failed": "inspect is async; it has to answer at once"},
            "property": {"inspect_failed": "Rude: property"},
            "keys": {"a": 1},
        }[kind]
    )
