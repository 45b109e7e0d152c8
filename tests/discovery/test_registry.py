"""Loading the code of plug-ins: what may go wrong with it, and that a changed file is taken at a reload."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimon.config import Config, load_text
from trimon.discovery.registry import Registry, check_plugins
from trimon.errors import UserError

PLUGIN = """
from trimon.discovery.plugin import TargetGroup
from {package}.place import ADDRESS


class Here:
    def __init__(self, options, context):
        self.url = options["url"]

    async def run(self, sink):
        sink.publish([TargetGroup.of_addresses("s", [ADDRESS])])
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with a plug-in that imports a second module of it."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "plugin_package_for_tests"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "place.py").write_text("ADDRESS = 'a:1'\n")
    (folder / "main.py").write_text(PLUGIN.format(package=folder.name))
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def config(plugin: str, options: str = "{url: 'http://x/'}") -> Config:
    text = f"scrape_configs:\n- job_name: j\n  trimon_sd_configs:\n  - plugin: {plugin}\n    options: {options}\n"
    return load_text(text, "/p.yml")


def test_a_changed_file_is_loaded_at_the_next_check(package: Path) -> None:
    """A change anywhere in a plug-in's package gives another factory and another version; none gives the same."""
    registry = Registry(list)
    name = f"{package.name}.main:Here"
    assert check_plugins(config(name), registry) == []
    first, version = registry.factory(name), registry.version(name)
    assert check_plugins(config(name), registry) == []
    assert (registry.factory(name), registry.version(name)) == (first, version)
    (package / "place.py").write_text("ADDRESS = 'b:1'\n")
    assert check_plugins(config(name), registry) == []
    second = registry.factory(name)
    assert second is not first
    assert registry.version(name) != version
    assert vars(sys.modules[second.__module__])["ADDRESS"] == "b:1"


def test_a_broken_change_leaves_what_was(package: Path) -> None:
    """A file that cannot be loaded refuses the check and leaves the plug-in as it was loaded before."""
    registry = Registry(list)
    name = f"{package.name}.main:Here"
    before = registry.factory(name)
    module = sys.modules[f"{package.name}.main"]
    (package / "main.py").write_text("import sys\nsys.exit('half written')\n")
    (error,) = check_plugins(config(name), registry)
    assert "SystemExit: half written" in str(error)
    assert str(error).startswith("/p.yml:4:5: ")
    assert registry.factory(name) is before
    assert sys.modules[f"{package.name}.main"] is module
    (package / "main.py").write_text(PLUGIN.format(package=package.name) + "# mended\n")
    assert check_plugins(config(name), registry) == []
    assert registry.factory(name) is not before


@pytest.mark.parametrize(
    "statement", ["raise SystemExit(3)", "import sys; sys.exit()", "raise KeyboardInterrupt"]
)
def test_an_exit_at_import_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """A module that ends the program when it is imported is a plug-in that cannot be loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "exiting_plugin_for_tests.py").write_text(statement)
    with pytest.raises(UserError, match=r"SystemExit|KeyboardInterrupt"):
        Registry(list).factory("exiting_plugin_for_tests:X")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{ur: 'http://x/'}", "cannot be made with these options: KeyError: 'url'"),
        ("{}", "cannot be made with these options: KeyError: 'url'"),
    ],
)
def test_options_that_the_constructor_refuses_refuse_the_configuration(
    package: Path, options: str, message: str
) -> None:
    """The constructor is called while the configuration is checked; what it raises stands at the options."""
    (error,) = check_plugins(config(f"{package.name}.main:Here", options), Registry(list))
    assert message in error.message
    assert error.position.line == 5


def test_the_example_says_which_option_it_misses() -> None:
    """The discovery of the documentation refuses a configuration without its option."""
    (error,) = check_plugins(config("trimon.discovery.example:LocalPorts", "{}"), Registry(list))
    assert "ports" in error.message
