"""`trimon check service-discovery` beside a real promtool."""

from __future__ import annotations

import json
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
    assert ours.stdout.endswith(theirs.stdout[-8:])
    assert ours.stderr == ""


def test_a_source_that_fails_is_told(tmp_path: Path) -> None:
    """A source that cannot be made says why; one that says nothing ends with the time."""
    (tmp_path / "p.yml").write_text(
        "scrape_configs:\n- job_name: a\n  trimon_sd_configs: [{plugin: 'nowhere:Nothing'}]\n"
    )
    done = ran([sys.executable, "-m", "trimon"], tmp_path, "a", "5s")
    assert (done.returncode, done.stdout) == (0, "[]")
    assert done.stderr.startswith("discovery plugin failed: ")


def test_a_configuration_that_is_none_is_told(tmp_path: Path) -> None:
    """In promtool's words."""
    (tmp_path / "p.yml").write_text("foo: 1\n")
    theirs = ran([peer("promtool")], tmp_path, "a", "1s")
    ours = ran([sys.executable, "-m", "trimon"], tmp_path, "a", "1s")
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    assert ours.stderr.rstrip() == theirs.stderr.rstrip()
