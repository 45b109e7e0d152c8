"""Requests made from the description of the API, a few, against the real server."""

from __future__ import annotations

from pathlib import Path

from tests.attack.openapi import run


def test_no_request_of_the_description_is_a_failure(tmp_path: Path) -> None:
    """Each operation is asked with values that its description allows; nothing is a 5xx or a crash."""
    result = run(tmp_path, 3, 2)
    assert result.generated > 50, result.report
    assert result.passed == result.generated, result.report
    assert result.crashes == []
    assert result.tracebacks == 0
