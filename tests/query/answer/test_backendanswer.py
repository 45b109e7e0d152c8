"""Answers of engines that are broken or hostile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trimon.query.answer.backendanswer import BackendAnswerError, read_backend
from trimon.query.execution.grid import Grid

GRID = Grid(1_000_000, 1000, 5000)
GOOD = {"metric": {"a": "b"}, "values": [[1000, "1"], [1001, "2"]]}


def answer(kind: Any, result: Any, **more: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}).encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"null", "none to a query"),
        (b"[]", "none to a query"),
        (b"{}", "none to a query"),
        (b'{"status":"success"}', "none to a query"),
        (b'{"status":"error","error":7}', "7"),
        (answer("matrix", 5), "none to a query"),
        (answer("matrix", [5]), "none to a query"),
        (answer("matrix", [{"values": []}]), "none to a query"),
        (answer("matrix", [{"metric": {"a": 1}, "values": []}]), "none to a query"),
        (answer("matrix", [{"metric": {"a": None}, "values": []}]), "none to a query"),
        (answer("matrix", [{"metric": {"a": "b"}, "values": [["x", "y"]]}]), "none to a query"),
        (answer("matrix", [{"metric": {"a": "b"}, "values": [[1]]}]), "none to a query"),
        (answer("matrix", [GOOD], warnings=5), "none to a query"),
        (answer("matrix", [GOOD], warnings={"a": 1}), "none to a query"),
        (answer("vector", [{"metric": {}, "value": [1, "1"]}]), "answered with 'vector'"),
        (answer("scalar", [1, "1"]), "answered with 'scalar'"),
        (answer(["matrix"], []), "answered with"),
        (
            answer("matrix", [GOOD] * 10_001),
            "10001 series at 5000 times, and at most 50000000 samples may be",
        ),
    ],
)
def test_what_is_no_answer_is_told_in_words(body: bytes, words: str) -> None:
    """Whatever an engine sends is a result or an error of the world; what would take too much memory is not taken in."""
    with pytest.raises(BackendAnswerError, match=words):
        read_backend(body, GRID, (), ranged=True)


def test_an_answer_is_read() -> None:
    """Samples stand at their steps, known labels are off, warnings come along."""
    result = read_backend(answer("matrix", [GOOD], warnings=["w"]), GRID, (("a", "b"),), ranged=True)
    assert result.labels.labels(0) == ()
    assert result.values[0, :2].tolist() == [1.0, 2.0]
    assert result.present.sum() == 2
    assert result.warnings == ("w",)
