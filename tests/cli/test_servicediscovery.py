"""`trimon check service-discovery` beside a real promtool."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import peer

CONFIG = """
scrape_configs:
- job_name: static
  params: {m: [x, y]}
  static_configs: [{targets: ['h:1', 'k:2', 'h:1'], labels: {z: "<1>&"}}]
  relabel_configs:
  - {source_labels: [__address__], regex: 'k.*', action: drop}
  - {target_label: env, replacement: prod}
- job_name: files
  file_sd_configs: [{files: [t.json]}]
- job_name: nothing
- job_name: bad
  static_configs: [{targets: ['h:1']}]
  relabel_configs: [{target_label: __address__, replacement: 'a/b'}]
"""
# Labels that every job of a newer Prometheus has.
NEWER = (
    "__always_scrape_classic_histograms__",
    "__convert_classic_histograms_to_nhcb__",
    "__scrape_native_histograms__",
)


def ran(program: list[str], folder: Path, job: str, timeout: str) -> subprocess.CompletedProcess[str]:
    command = [*program, "check", "service-discovery", f"--timeout={timeout}", "p.yml", job]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)


def older(text: str) -> Any:
    found = json.loads(text)
    for target in found:
        target.pop("droppedBy", None)  # ours alone
        for labels in (target["discoveredLabels"], target["labels"]):
            for name in NEWER:
                labels.pop(name, None)
    return found


@pytest.mark.parametrize("job", ["static", "files", "nothing", "bad", "unknown"])
def test_targets_are_those_that_promtool_finds(job: str, tmp_path: Path) -> None:
    """The same targets in the same form with the same labels, and the same words for a job that is not there."""
    (tmp_path / "p.yml").write_text(CONFIG)
    (tmp_path / "t.json").write_text('[{"targets": ["q:1", "r:9"], "labels": {"l": "v"}}]')
    theirs = ran([peer("promtool")], tmp_path, job, "1s")
    ours = ran([sys.executable, "-m", "trimon"], tmp_path, job, "20s")
    assert ours.returncode == theirs.returncode
    if job == "unknown":
        assert (ours.stdout, ours.stderr) == (theirs.stdout, theirs.stderr)
        return
    if job == "bad":  # promtool has neither the labels nor the error: `"error": {}`
        (found,) = older(ours.stdout)
        assert (found["labels"], found["error"]) == ({}, '"a/b" is not a valid hostname')
        return
    assert older(ours.stdout) == older(theirs.stdout)
    # the form is the same where nothing is newer
    assert json.dumps(older(ours.stdout), indent=2).count("\n") == json.dumps(
        older(theirs.stdout), indent=2
    ).count("\n")
    assert ours.stdout[:5] == theirs.stdout[:5]
    assert ours.stdout.endswith(theirs.stdout[-4:])
    assert ours.stderr == ""


def test_a_source_that_fails_is_told(tmp_path: Path) -> None:
    """A source that cannot be made says why; one that says nothing ends with the time."""
    (tmp_path / "p.yml").write_text(
        "scrape_configs:\n- job_name: a\n  trimon_sd_configs: [{plugin: 'nowhere:Nothing'}]\n"
    )
    done = ran([sys.executable, "-m", "trimon"], tmp_path, "a", "5s")
    assert (done.returncode, done.stdout) == (0, "[]")
    assert done.stderr.startswith("discovery plugin (nowhere:Nothing) failed: ")


def found_by(folder: Path, job: str, section: str, timeout: str = "20s") -> subprocess.CompletedProcess[str]:
    """What ours says of a job of its own."""
    (folder / "p.yml").write_text(f"scrape_configs:\n- job_name: {job}\n{section}")
    return ran([sys.executable, "-m", "trimon"], folder, job, timeout)


def test_the_rule_that_drops_a_target_is_named(tmp_path: Path) -> None:
    """By its index, its action, what it looks at, and the line where it stands; a target that is kept has none."""
    section = (
        "  static_configs: [{targets: ['h:1', 'k:2', 'm:3']}]\n"
        "  relabel_configs:\n"
        "  - {target_label: env, replacement: prod}\n"
        "  - {source_labels: [__address__], regex: 'k.*', action: drop}\n"
        "  - {source_labels: [env, __address__], regex: 'prod;h.*', action: keep}\n"
    )
    done = found_by(tmp_path, "a", section)
    dropped = {
        each["discoveredLabels"]["__address__"]: each.get("droppedBy") for each in json.loads(done.stdout)
    }
    assert dropped["h:1"] is None
    assert (dropped["k:2"]["rule"], dropped["k:2"]["action"]) == (1, "drop")
    assert dropped["m:3"] == {
        "rule": 2,
        "action": "keep",
        "sourceLabels": ["env", "__address__"],
        "regex": "prod;h.*",
        "place": "p.yml:7",
    }


def test_a_source_that_fails_or_hangs_is_named(tmp_path: Path) -> None:
    """At the end of the time: which source it is, and its last error; one that does not answer says that."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        section = (
            "  http_sd_configs:\n"
            "  - {url: 'http://127.0.0.1:1/x?token=hide-me-please'}\n"
            f"  - {{url: 'http://127.0.0.1:{port}/y'}}\n"
            "  static_configs: [{targets: ['h:1']}]\n"
        )
        done = found_by(tmp_path, "a", section, "3s")
    assert [each["labels"]["instance"] for each in json.loads(done.stdout)] == ["h:1"]
    told = [line for line in done.stderr.splitlines() if line.startswith("discovery http (")]
    assert "http://127.0.0.1:1/x?token=<secret>) found nothing within 3 s; its last error: " in told[0]
    assert "connection refused" in told[0]
    assert told[1].endswith(f":{port}/y) found nothing within 3 s; it neither answers nor fails")
    assert "hide-me" not in done.stderr


def test_labels_that_look_like_secrets_are_masked(tmp_path: Path) -> None:
    """In what was found and in what relabeling makes of it, passwords in URLs too."""
    section = (
        "  params: {token: [hide-me-one]}\n"
        "  static_configs: [{targets: ['h:1'], labels: {__meta_x_password: hide-me-two}}]\n"
        "  relabel_configs:\n"
        "  - {source_labels: [__meta_x_password], target_label: __param_api_key}\n"
        "  - {target_label: from, replacement: 'http://u:hide-me-three@h/'}\n"
    )
    done = found_by(tmp_path, "a", section)
    (target,) = json.loads(done.stdout)
    assert "hide-me" not in done.stdout
    assert target["labels"]["__param_api_key"] == target["discoveredLabels"]["__param_token"] == "<secret>"
    assert target["labels"]["from"] == "http://u:xxxxx@h/"


def test_a_configuration_that_is_none_is_told(tmp_path: Path) -> None:
    """In promtool's words."""
    (tmp_path / "p.yml").write_text("foo: 1\n")
    theirs = ran([peer("promtool")], tmp_path, "a", "1s")
    ours = ran([sys.executable, "-m", "trimon"], tmp_path, "a", "1s")
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    assert ours.stderr.rstrip() == theirs.stderr.rstrip()
