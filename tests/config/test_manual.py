"""The manual of the configuration says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from trimon.config import load_text, load_web_config
from trimon.config.discovery.plugin import PluginSdConfig
from trimon.config.discovery.table import MECHANISMS
from trimon.config.globals import GlobalConfig
from trimon.config.http import HttpClient
from trimon.config.model import settings_of
from trimon.config.scrape import ScrapeConfig

DOCS = Path(__file__).parents[2] / "docs"
MANUAL = (DOCS / "configuration.md").read_text(encoding="utf-8")


def test_every_field_is_in_the_manual() -> None:
    """A field that is read is named in the manual."""
    mechanisms = {row.field for row in MECHANISMS}
    for model in (GlobalConfig, HttpClient, ScrapeConfig):
        for name in settings_of(model):
            assert name in mechanisms or f"`{name}`" in MANUAL, name


def test_every_mechanism_has_a_row() -> None:
    """The page of discovery has one line for each mechanism, and none besides."""
    rows = re.findall(
        r"^\| `(\w+_configs)` \|", (DOCS / "discovery.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows == sorted(row.field for row in MECHANISMS)


def test_the_examples_of_the_manual_load(tmp_path: Path) -> None:
    """The example of a job and of a web config file are valid."""
    job, web = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)
    (source,) = load_text(job, "p.yml").scrape_configs[0].discovery()
    assert isinstance(source, PluginSdConfig)
    assert source.options["refresh_s"] == 30
    path = tmp_path / "web.yml"
    path.write_text(web)
    config = load_web_config(path)
    assert config.tls_server_config.cert_file
    assert len(config.basic_auth_users) == 1
