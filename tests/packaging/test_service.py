"""The systemd unit: systemd takes it, finds it well locked, and its flags are the server's."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trimon.cli.server.flags import BY_NAME

UNIT = Path(__file__).resolve().parents[2] / "config" / "systemd" / "trimon.service"
EXPOSURE_MAX = 1.5
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "CI" not in os.environ, reason="systemd-analyze is missing"
)


def test_systemd_takes_every_line(tmp_path: Path) -> None:
    """systemd knows each setting; the program, which is not installed here, is replaced by one that is there."""
    unit = tmp_path / "trimon.service"
    unit.write_text(UNIT.read_text().replace("/opt/trimon/bin/trimon", "/bin/true"))
    ran = subprocess.run(  # our own unit
        ["systemd-analyze", "verify", unit],  # wherever it is installed
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_little_is_left_that_it_may_do() -> None:
    """systemd's own measure of what a service could do, from 0 to 10, is small."""
    ran = subprocess.run(  # our own unit
        ["systemd-analyze", "security", "--offline=true", UNIT],  # wherever it is installed
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"exposure level for trimon.service: ([0-9.]+)", ran.stdout)
    assert found is not None, ran
    assert float(found[1]) <= EXPOSURE_MAX


def test_its_flags_exist() -> None:
    """The command line of the unit has flags of the server alone."""
    command = re.search(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert command is not None
    flags = re.findall(r"--([a-z0-9.-]+)", command[1])
    assert flags
    assert set(flags) <= set(BY_NAME)


def test_it_runs_where_memory_is_never_both_written_and_run() -> None:
    """With the unit's MemoryDenyWriteExecute, everything that the server imports loads, and does its work."""
    if ctypes.CDLL(None).prctl(PR_SET_MDWE + 1, 0, 0, 0, 0) < 0:
        pytest.skip("this kernel cannot deny it")
    program = (
        f"import ctypes, sys\nassert ctypes.CDLL(None).prctl({PR_SET_MDWE}, {PR_MDWE_REFUSE_EXEC_GAIN}, 0, 0, 0) == 0\n"
        "import trimon.cli.server.serve\nfrom trimon.cli.main import main\n"
        f"main(['check', 'config', {str(UNIT.parents[1] / 'full.yml')!r}])\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
