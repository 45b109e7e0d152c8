"""The documentation says what the code does: flags, features, routes, errors, and the names it mentions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.web_world import web_world
from trimon.cli.server.features import FEATURES
from trimon.cli.server.flags import BY_NAME, FLAGS
from trimon.web.context import WebOptions
from trimon.web.http.answer import STATUS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *(page for page in DOCS.glob("*.md") if page.name != "changelog.md")])


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of a table, by what its heading line begins with."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(heading))
    found = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def test_every_flag_is_described() -> None:
    """The page of flags has each flag once, with its default, what it does or why it does nothing."""
    expected = []
    for flag in FLAGS:
        what = f"No effect: {flag.inert}." if flag.inert else flag.help
        default = f"`{flag.default}`" if flag.default else ""
        expected.append([f"`--{flag.name}`", default, ("*own* " if flag.own else "") + what])
    assert rows("flags.md", "| flag |") == expected


def test_every_feature_is_described() -> None:
    """The page of flags has each feature, and says of one without effect why."""
    described = {name.strip("`"): what for name, what in rows("flags.md", "| name |")}
    assert list(described) == list(FEATURES)
    for name, feature in FEATURES.items():
        assert described[name]
        assert not feature.inert or described[name] == f"no effect: {feature.inert}"
        assert feature.inert or not described[name].startswith("no effect")


async def test_every_route_is_described(tmp_path: Path) -> None:
    """The page of the API has each route of the table with its methods, and no other."""
    described = {
        path: set(methods.split())
        for cells, methods, *_ in rows("http-api.md", "| route |")
        for path in re.findall("`([^`]+)`", cells)
    }
    directories = WebOptions(user_assets=tmp_path, console_templates=tmp_path)
    async with web_world(tmp_path, directories) as here:
        table = here.endpoints
    assert described == {endpoint.path.replace("<path:", "<"): set(endpoint.methods) for endpoint in table}


def test_every_error_type_is_described() -> None:
    """The page of the API has each error type with its status."""
    described = {kind.strip("`"): int(status[:3]) for kind, status in rows("http-api.md", "| errorType |")}
    assert described == STATUS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_mentions_exists(page: Path) -> None:
    """Flags of the server, files of the program, and other pages that a page names are there."""
    text = page.read_text(encoding="utf-8")
    commands = {"help", "version", "fail-fast", "self-contained", "http.config.file"}
    flags = {name.removeprefix("no-") for name in re.findall(r"`--([a-z][a-z0-9.-]+)", text) if "." in name}
    assert flags - commands <= BY_NAME.keys()
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link
    packages = "actors|cli|config|discovery|fetch|gotext|model|peers|query|remote|rules|scrape|server|storage|templates|web"
    for path in re.findall(rf"`(?:trimon/)?((?:{packages})/[\w/]*\w(?:\.py|/)?)`", text):
        assert (ROOT / "trimon" / path).exists(), path
    for path in re.findall(r"`((?:tests|docs|config|scripts)/[\w/.-]+)`", text):
        assert (ROOT / path).exists(), path
