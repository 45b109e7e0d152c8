"""The manual of the kernel says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from trimon.actors.kernel import Overflow, lifecycle_table

MANUAL = Path(__file__).parents[3] / "docs" / "actors.md"


def test_the_manual_prints_the_lifecycle_of_the_code() -> None:
    """The table in the manual is the table of the code, and every overflow policy is explained."""
    text = MANUAL.read_text(encoding="utf-8")
    assert lifecycle_table() in text
    assert all(f"`{policy.name}`" in text for policy in Overflow)


def test_the_example_of_the_manual_runs() -> None:
    """The example is a complete program, and it adds."""
    example = re.search(r"```python\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example[1]],
        cwd=MANUAL.parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["20", "42", "{'total':", "42}"]
