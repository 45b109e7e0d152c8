"""The manual of the configuration says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from trimon.config import load_text, load_web_config
from trimon.config.globals import GlobalConfig
from trimon.config.http import HttpClient
from trimon.config.model import settings_of
from trimon.config.scrape import ScrapeConfig

MANUAL = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_every_field_is_in_the_manual() -> None:
    """A field that is read is named in the manual."""
    for model in (GlobalConfig, HttpClient, ScrapeConfig):
        for name in settings_of(model):
            assert f"`{name}`" in MANUAL, name


def test_the_examples_of_the_manual_load(tmp_path: Path) -> None:
    """The example of a job and of a web config file are valid."""
    job, web = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)
    assert load_text(job, "p.yml").scrape_configs[0].trimon_sd_configs[0].options["refresh_s"] == 30
    path = tmp_path / "web.yml"
    path.write_text(web)
    config = load_web_config(path)
    assert config.tls_server_config.cert_file
    assert len(config.basic_auth_users) == 1
