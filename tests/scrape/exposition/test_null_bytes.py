"""Null bytes in bodies: which belong to the byte before them, which are errors, and which end a body."""

from __future__ import annotations

import pytest

from tests.scrape.exposition.test_ways import OPENMETRICS, TEXT, Remembering, by_scanner, compare
from trimon.scrape.exposition.openmetrics import OpenMetricsFormat
from trimon.scrape.exposition.textformat import TextFormat

_FORMATS: dict[str, type[TextFormat | OpenMetricsFormat]] = {"text": TextFormat, "om": OpenMetricsFormat}


@pytest.mark.parametrize(
    ("kind", "body", "names"),
    [
        ("text", b'# TY\0PE a histogram\na_bucket{le="-1.0"} 1\na_bucket{le="+Inf"} 2\na_sum 1\n', "a_bucket a_bucket a_sum"),
        ("text", b"# TYP\0E a summary\na_sum NaN\n", "a_sum"),
        ("text", b'# H\0 # {a="b"} 1 2LP a \0\na_total 1\n', "a_total"),
        ("text", b"# TYPE\0 \0\0a gauge\na 1\n", "a"),
        ("text", b"# TYPE \0a gauge\na 1\n", "a"),
        ("text", b"# a\0\0\nb 1\n", "b"),
        ("text", b"# HELP a b\0c\0\nb 1\n", "b"),
        ("text", b"a 1\n\0b 2\nc 3\n", "a"),
        ("text", b"a 1\n# \0b\nc 3\n", "a"),
        ("text", b"a 1\n#\0b\nc 3\n", "a"),
        ("om", b"# TY\0PE a histogram\na_sum 1\n# EOF\n", "a_sum"),
        ("om", b"a 1\n# E\0OF\n", "a"),
        ("om", b"a 1\n# EO\0\0F\0", "a"),
        ("om", b"# HELP a b\n\0a 1\n# EOF\n", "a"),
        ("om", b"# HELP a b\n\0\0# HELP a c\n\0a 1\nb 2\n# EOF\n", "a b"),
    ],
)  # fmt: skip
def test_null_bytes_behind_a_byte_of_a_comment_are_part_of_it(kind: str, body: bytes, names: str) -> None:
    """They hide neither keywords nor what follows; only where a record of the text format may begin they end the body."""
    remembering = Remembering(_FORMATS[kind]())
    for _ in range(3):
        remembering.read(body)
        assert sorted(dict(labels)["__name__"] for labels in remembering.labels) == names.split()
    assert remembering.read(body) == by_scanner(_FORMATS[kind](), body)


@pytest.mark.parametrize(
    ("kind", "body", "label", "value"),
    [
        ("text", b'm{node="0"\0,size="10"} 0\n', "node", '0"'),
        ("text", b'm{node="0"\0\0} 0\n', "node", '0"\0'),
        ("text", b'm{node="a\\\0"b"} 0\n', "node", 'a\\\0"b'),
        ("text", b'm{node="a\0b"} 0\n', "node", "a\0b"),
        ("om", b'm{node="0"\0,size="10"} 0\n# EOF\n', "node", '0"'),
    ],
)
def test_null_bytes_in_and_behind_values_of_labels(kind: str, body: bytes, label: str, value: str) -> None:
    """A null byte counts as a byte of the value, and one behind the closing quote takes the quote's place."""
    remembering = Remembering(_FORMATS[kind]())
    for _ in range(2):
        remembering.read(body)
        assert [dict(labels)[label] for labels in remembering.labels] == [value]


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("text", b'# TY\0PE a hisf"togram\na 1\n', 'invalid metric type "hisf\\"togram"'),
        ("text", b"# TYPE a\0 gauge\na 1\n", 'invalid metric type ""'),
        ("text", b"# HELP a\0b\n", 'linebreak expected after metadata, got "\\x00b" ("EOF") while parsing: "# HELP a\\x00b"'),
        ("text", b"# TYPE a gauge\0\na 1\n", 'invalid metric type "gauge\\x00"'),
        ("text", b"m 1\0\nb 2\n", 'expected timestamp or new record, got "\\x00" ("INVALID") while parsing: "m 1\\x00"'),
        ("text", b'{"a\\\0b"} 1\n', 'expected label name, got "\\"a\\\\\\x00" ("INVALID") while parsing: "{\\"a\\\\\\x00"'),
        ("om", b"# HELP a re\xffvision.\n\0 TYPE\n# EOF\n", 'help text "re\\xffvision.\\n" is not a valid utf8 string'),
        ("om", b"# TYPE a counter\n\0a_total 1\n# EOF\n", 'invalid metric type "counter\\n"'),
        ("om", b"a 1\n\0# EOF\n", 'expected a valid start token, got "\\x00" ("INVALID") while parsing: "\\x00"'),
    ],
)  # fmt: skip
def test_other_null_bytes_fail_the_body(kind: str, body: bytes, message: str) -> None:
    """The error quotes what was read, null bytes and all."""
    error, _ = Remembering(_FORMATS[kind]()).read(body)
    assert error == message


@pytest.mark.parametrize("nulls", [b"\0", b"\0\0"])
def test_bodies_with_null_bytes_anywhere_are_read_alike_in_all_ways(nulls: bytes) -> None:
    """At every place of a body, and whatever was read before: all ways say what the scanner says."""
    for text_format, base in ((TextFormat, TEXT), (OpenMetricsFormat, OPENMETRICS)):
        for place in range(len(base) + 1):
            body = base[:place] + nulls + base[place:]
            compare(text_format, base, [body, body])
