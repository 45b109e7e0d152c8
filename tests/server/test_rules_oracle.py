"""Scripted runs of rules and alerts over time, beside what a real Prometheus 3.14 did with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.oracle import ORACLE
from tests.support.process import ROOT

SCORE = ORACLE / "rules" / "score_runs.py"
SCENARIOS = (
    "for_3s",
    "keep_firing",
    "rec_chain",
    "rec_limit",
    "template_errors",
    "rule_error",
)
TRIES = 3


def differing(names: list[str], command: Path) -> dict[str, str]:
    """What differs, by the scenario."""
    files = [SCORE.parent / "rules_run" / f"{name}.json" for name in names]
    ran = subprocess.run(
        [sys.executable, "-B", SCORE, command, *files],
        env=os.environ | {"PYTHONPATH": str(ROOT), "ORC_JOBS": "2"},
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    told = [line.partition(" ") for line in ran.stdout.splitlines()[: len(names)]]
    return {name: what for name, _, what in told if what != "same"}


@pytest.mark.slow
@pytest.mark.skipif(not SCORE.exists(), reason="no ../shared/oracle/rules beside the project")
def test_scripted_runs_are_those_of_prometheus(tmp_path: Path) -> None:
    """States, messages, stored series and what the API shows, each in its order.

    The scenarios have steps of a second, so on a busy machine chance makes some differ: these are run again.
    """
    command = tmp_path / "trimon"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m trimon "$@"\n')
    command.chmod(0o755)
    wrong = dict.fromkeys(SCENARIOS, "")
    for _ in range(TRIES):
        wrong = differing(list(wrong), command)
        if not wrong:
            break
    assert wrong == {}
