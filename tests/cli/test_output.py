"""What a command does when nobody takes its output, and with files that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commandline import run_trimon
from trimon.cli import main

COMMANDS = (
    ["--help"],
    ["--version"],
    ["check", "config", "/dev/null"],
    ["check", "--help"],
    ["tsdb", "list", "{dir}"],
)


def test_the_help_of_the_server_names_all_commands() -> None:
    """`trimon --help` lists what there is beside the server."""
    line = run_trimon("--help").stdout.splitlines()[1]
    named = line.removeprefix("       trimon ").removesuffix(" --help")
    assert named.split(" | ") == list(main.COMMANDS)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_an_output_that_is_full_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    """A full disk is told in one line, with exit code 1; a reader that went away in none."""
    command = [sys.executable, "-m", "trimon", *(text.format(dir=tmp_path) for text in arguments)]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    if arguments[0] != "tsdb":  # which has nothing to say
        assert (ran.returncode, ran.stderr) == (1, "trimon: error: no space left on device\n")
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert ran.stderr == ""


def test_a_file_in_the_place_of_a_directory_is_one_line(tmp_path: Path) -> None:
    """What the system refuses is an error of the command with the path and the reason."""
    (tmp_path / "source" / "wal").mkdir(parents=True)
    (tmp_path / "source" / "wal" / "00000000").touch()
    (tmp_path / "file").touch()
    for arguments in (
        ("import-prometheus", "/dev/null", tmp_path / "x"),
        ("import-prometheus", tmp_path / "source", tmp_path / "file"),
        ("list", tmp_path / "file"),
    ):
        ran = run_trimon("tsdb", *arguments)
        assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1)
        assert ran.stderr.startswith("trimon: error: ")
