"""The sample configurations of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimon.config import load

SAMPLES = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize("sample", ["minimal.yml", "full.yml", "rules.yml", "custom-discovery.yml"])
def test_the_samples_load(sample: str) -> None:
    """Every sample configuration of the project is a valid one."""
    config = load(SAMPLES / sample, environment={"HOSTNAME": "h"})
    assert config.scrape_configs
    assert config.unset_variables == ()
    assert config.scrape_files_error is None


def test_the_full_sample_names_every_supported_field() -> None:
    """A field that is supported is shown in the full sample, at least in a comment."""
    from trimon.config.http import Authorization, BasicAuth
    from trimon.config.load import MainFile
    from trimon.config.model import settings_of
    from trimon.config.scrape import ScrapeConfig

    text = (SAMPLES / "full.yml").read_text()
    own = {
        "bearer_token",
        "bearer_token_file",
        "trimon_sd_configs",
        "username_file",
        "password",
        "credentials",
    }
    for model in (MainFile, ScrapeConfig, BasicAuth, Authorization):
        for name, field in settings_of(model).items():
            if name not in own and not field.metadata["only_default"]:
                assert f"{name}:" in text, name
