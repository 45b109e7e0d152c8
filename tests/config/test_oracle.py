"""Configurations with what a real Prometheus 3.14 says of each: verdict, words, effective text, compared exactly."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.oracle import recordings
from trimon.config import Config, FlagDefaults, effective_yaml, load
from trimon.errors import UserError

ORACLE: Final = Path(__file__).parents[2].parent / "shared" / "oracle" / "config"
# By case what is shown otherwise, and what Prometheus shows: passwords in URLs are never shown.
SHOWN_OTHERWISE: Final = {
    "http-oauth2-all": ("http://user:xxxxx@127.0.0.1:1/t", "http://user:pass@127.0.0.1:1/t"),
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
    """The same verdict, the same words, the same effective text."""
    verdict, text, config = played(case, tmp_path)
    assert verdict == case["verdict"], text
    text = text.replace(*SHOWN_OTHERWISE.get(case["name"], ("", "")))
    # the recording has no blanks at the end of an error
    assert text == case["effective"] if verdict == "ok" else text.rstrip() == case["error"]
    unset = [warning.rpartition("=")[2] for warning in case.get("warnings", ())]
    if config is not None:
        assert list(config.unset_variables) == unset


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


# The form that a key should have is told without the key, and what stands under `auth` looks like a secret.
TOLD_OTHERWISE: Final = {
    "secret key format 'x'": "secret key format '<secret>'",
    "oci_sd: instance_principal auth": "oci_sd: <secret> auth",
}


@pytest.mark.parametrize(
    "case",
    json.loads((ORACLE.parent / "discovery" / "bad_configs.json").read_text()) if ORACLE.is_dir() else [],
    ids=lambda case: f"{case['key']}-{json.dumps(case['config'])}",
)
def test_a_source_of_targets_is_taken_or_refused_as_prometheus_does(
    case: dict[str, Any], tmp_path: Path
) -> None:
    """Every discovery mechanism checks its section as a real 3.14 does, in the same words."""
    main = tmp_path / "prometheus.yml"
    main.write_text(json.dumps({"scrape_configs": [{"job_name": "j", case["key"]: [case["config"]]}]}))
    try:
        load(main)
    except UserError as error:
        said = f"FAILED: {str(error).replace(str(main), 'FILE')}"
    else:
        said = ""
    wanted = case["message"]
    for words, ours in TOLD_OTHERWISE.items():
        wanted = wanted.replace(words, ours)
    assert said.rstrip() == wanted.rstrip()
    assert (said == "") == case["accepted"]
