"""What a source says in JSON: types, places in errors, and texts that are no text."""

from __future__ import annotations

import pytest

from trimon.discovery.asking.record import ExactRecord, Record, SourceError, parsed


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


def test_names_are_found_in_any_case() -> None:
    """As Go's reader of JSON has it: the exact name first, else one that differs in its case; keys stay as they are."""
    record = Record.of_json(
        '{"NAME": "a", "Node": {"ADDRESS": "b"}, "tags": {"Env": "x"}, "x": 1, "X": 2, "n": null}'
    )
    assert (record.text("Name"), record.record("node").text("Address")) == ("a", "b")
    assert "NODE" in record
    assert (record.whole("x"), record.whole("X")) == (1, 2)
    assert record.text_map("Tags") == {"Env": "x"}
    assert "N" not in record
    assert record.text("other") == ""


def test_exact_records_know_one_case() -> None:
    """At every depth."""
    record = ExactRecord.of_json('{"NAME": "a", "node": {"ADDRESS": "b"}}')
    assert (record.text("name"), record.record("node").text("address")) == ("", "")
