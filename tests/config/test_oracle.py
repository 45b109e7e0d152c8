"""Configurations with what a real Prometheus 3.14 says of each: verdict, words, effective text, compared exactly."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.oracle import recordings
from trimon.config import Config, FlagDefaults, effective_yaml, load
from trimon.config.scrape import ScrapeConfig
from trimon.config.support import UNSUPPORTED
from trimon.errors import UserError

ORACLE: Final = Path(__file__).parents[2].parent / "shared" / "oracle" / "config"
LACKING: Final = re.compile(
    r"(?:field (\S+)|scrape protocol (\S+)) is not supported by this version of trimon$"
)
# Fewer compared cases than this means that something that was supported is refused now.
COMPARED_LEAST: Final = 377
# By case what is shown otherwise, and what Prometheus shows: passwords in URLs are never shown.
SHOWN_OTHERWISE: Final = {
    "http-oauth2-all": ("http://user:xxxxx@127.0.0.1:1/t", "http://user:pass@127.0.0.1:1/t")
}

pytestmark = pytest.mark.skipif(not ORACLE.is_dir(), reason="no ../shared/oracle/config beside the project")


def cases() -> list[dict[str, Any]]:
    found = [case for name in ("cases", "testdata") for case in recordings(f"config/{name}.jsonl")]
    return [case for case in found if case["verdict"] != "panic"]


CASES: Final = cases()
ENVIRONMENT: Final = {name: value for case in CASES for name, value in (case.get("env") or {}).items()}


def written(case: dict[str, Any], directory: Path) -> Path:
    """The case's files in a directory; the path of the main file."""
    main = directory / "prometheus.yml"
    for name, content in (case.get("files") or {}).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content.encode())
    if "from" not in case:
        main.write_bytes(case["yaml"].encode("utf-8", "surrogateescape"))
        return main
    shutil.copytree(ORACLE / case["from"], directory, dirs_exist_ok=True)
    if case["main"] != main.name:
        shutil.copy(directory / case["main"], main)
    return main


def played(case: dict[str, Any], directory: Path) -> tuple[str, str, Config | None]:
    """Verdict, effective text or words of the error, and what was loaded."""
    directory = Path(os.path.realpath(directory))
    main = written(case, directory)

    def neutral(text: str) -> str:
        for path, name in ((main, "{file}"), (directory, "{dir}"), (directory.parent, "{parent}")):
            text = text.replace(str(path), name)
        return text

    defaults = FlagDefaults(agent=bool(case.get("agent")))
    try:
        config = load(main, environment=ENVIRONMENT, defaults=defaults)
    except UserError as error:
        return "error", neutral(str(error)), None
    return "ok", neutral(effective_yaml(config)), config


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_configuration_is_taken_and_shown_as_prometheus_does(case: dict[str, Any], tmp_path: Path) -> None:
    """The same verdict, the same words, the same effective text; what does not exist yet is refused by name."""
    verdict, text, config = played(case, tmp_path)
    lacking = LACKING.search(text) if verdict == "error" else None
    if lacking is not None:
        wanted = lacking[1] or lacking[2]
        assert wanted in written(case, tmp_path).read_text(encoding="utf-8", errors="replace")
        return
    assert verdict == case["verdict"], text
    text = text.replace(*SHOWN_OTHERWISE.get(case["name"], ("", "")))
    assert text == (case["effective"] if verdict == "ok" else case["error"])
    unset = [warning.rpartition("=")[2] for warning in case.get("warnings", ())]
    if config is not None:
        assert list(config.unset_variables) == unset


def test_no_more_is_refused_for_lack_than_is_known(tmp_path: Path) -> None:
    """The number of cases that are compared falls when a section that was supported is refused."""
    compared = 0
    for number, case in enumerate(CASES):
        directory = tmp_path / str(number)
        directory.mkdir()
        verdict, text, _ = played(case, directory)
        compared += not (verdict == "error" and LACKING.search(text))
    assert compared >= COMPARED_LEAST


def test_files_of_jobs_are_refused_in_the_same_words(tmp_path: Path) -> None:
    """What is wrong in a scrape config file is kept beside the configuration, which is shown."""
    seen = 0
    for number, case in enumerate(case for case in CASES if case["name"].startswith("scf-")):
        directory = tmp_path / str(number)
        directory.mkdir()
        _, _, config = played(case, directory)
        if config is None:
            continue
        problem = str(config.scrape_files_error or "").replace(str(directory), "{dir}")
        assert [problem] == (case.get("apply_errors") or [""])
        seen += bool(problem)
    assert seen >= 4


def test_sections_without_a_model_are_those_of_prometheus() -> None:
    """A name in the table of what is refused by name is one that Prometheus has: a typo there is an unknown field."""
    known = "".join(json.dumps(case) for case in CASES)
    for name in (*UNSUPPORTED["config"], *UNSUPPORTED["alertmanager"], *ScrapeConfig.not_yet):
        assert name in known, name
