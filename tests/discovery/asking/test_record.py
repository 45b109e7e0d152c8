"""What a source says in JSON: types, places in errors, and texts that are no text."""

from __future__ import annotations

import pytest

from trimon.discovery.asking.record import Record, SourceError, parsed


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\ud800x"', "\ufffdx"),
        (b'{"a\\udfff": ["\\uDBFF"]}', {"a\ufffd": ["\ufffd"]}),
        (b'"\xff"', "\ufffd"),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (b'"\\\\ud800"', "\\ud800"),
    ],
)
def test_halves_of_characters_are_replaced(body: bytes, value: object) -> None:
    """Whatever is read can be written as UTF-8, in URLs and in labels."""
    assert parsed(body) == value


@pytest.mark.parametrize("body", [b"", b"x", b"[" * 100_000, b"\xef\xbb\xbf{}", b"1" * 10_000])
def test_what_is_no_json_is_trouble(body: bytes) -> None:
    """Nothing but SourceError is raised."""
    with pytest.raises(SourceError):
        Record.of_json(body)
