"""The sample configurations of the project."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.commandline import run_trimon
from trimon.config import load

SAMPLES = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize("sample", ["minimal.yml", "full.yml", "rules.yml", "custom-discovery.yml"])
def test_the_samples_load(sample: str) -> None:
    """Every sample configuration of the project is a valid one."""
    config = load(SAMPLES / sample, environment={"HOSTNAME": "h"})
    assert config.scrape_configs
    assert config.unset_variables == ()
    assert config.scrape_files_error is None


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.glob("*.yml")))
def test_the_samples_pass_the_check(sample: str, tmp_path: Path) -> None:
    """A sample needs no file beside those of a clean clone: `check config` accepts a copy of them without `secrets/`."""
    shutil.copytree(SAMPLES, tmp_path / "config", ignore=shutil.ignore_patterns("secrets"))
    done = run_trimon("check", "config", str(tmp_path / "config" / sample))
    assert done.exit_code == 0, done.stderr


def test_the_full_sample_names_every_supported_field() -> None:
    """A field that is supported is shown in the full sample, at least in a comment."""
    from trimon.config.configuration import MainFile
    from trimon.config.http import Authorization, BasicAuth
    from trimon.config.model import settings_of
    from trimon.config.scrape import ScrapeConfig
    from trimon.config.support import INERT

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
        for name in settings_of(model):
            if name not in own and name not in set(INERT.get(model.section, ())):
                assert f"{name}:" in text, name
