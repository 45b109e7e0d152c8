"""`trimon check web-config` beside recorded answers of a real promtool 3.14."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.oracle import recorded
from trimon.cli.check import check

CASES = recorded("config/cases-web.jsonl")


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_the_check_says_what_promtool_says(case: dict[str, Any], tmp_path: Path) -> None:
    """Exit code, standard output and standard error are those that were recorded."""
    for name, content in case.get("files", {}).items():
        (tmp_path / name).write_text(content)
    path = tmp_path / "web.yml"
    path.write_text(case["yaml"])
    result = CliRunner().invoke(check, ["web-config", str(path)], standalone_mode=False)

    def shown(text: str) -> str:
        return text.replace("{file}", str(path)).replace("{dir}", str(tmp_path))

    assert result.return_value == case["exit"]
    assert result.stdout == shown(case["stdout"])
    assert result.stderr == shown(case["stderr"])


def test_several_files_are_checked(tmp_path: Path) -> None:
    """One that is wrong does not hide the others; with --positions places and cautions are told."""
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text("rate_limit: {interval: 1s}\n")
    bad.write_text("\nbasic_auth_users: {a: b}\n")
    arguments = ["web-config", str(bad), str(good), "--positions"]
    result = CliRunner().invoke(check, arguments, standalone_mode=False)
    assert result.return_value == 1
    assert result.stderr.splitlines() == [
        f"{bad} FAILED: crypto/bcrypt: hashedSecret too short to be a bcrypted password",
        f"  at {bad}:2:1",
        "  WARNING: rate_limit with burst 0 refuses every request",
        f"  at {good}:1:13",
        f"{good} SUCCESS",
    ]
