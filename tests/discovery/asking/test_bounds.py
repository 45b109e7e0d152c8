"""Answers that are bigger, deeper or odder than anybody's: an error, soon, and for their source alone."""

from __future__ import annotations

import pytest

from trimon.discovery.asking.api import ANSWER_BYTES_MAX, Api
from trimon.discovery.asking.record import VALUES_MAX, Record, SourceError
from trimon.discovery.asking.xmltree import ATTRIBUTES_MAX, tree_of
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.targetfile import groups_from_json
from trimon.fetch.request import Response


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"a":[' + "0," * VALUES_MAX + "0]}", "more than 3000000 values"),
        ("[" * 100_000, "nested too deep"),
        ("", "is not JSON"),
    ],
)
def test_json_is_bounded_before_it_is_read(body: str, text: str) -> None:
    """The interpreter's lock is held for the whole of a parse: what has too many values is never parsed."""
    with pytest.raises(SourceError, match=text):
        Record.of_json(body)


def test_attributes_are_bounded_before_they_are_read() -> None:
    """All attributes of a tag are one piece of work."""
    body = b"<a " + b" ".join(b'a%d="1"' % number for number in range(ATTRIBUTES_MAX + 1)) + b"/>"
    with pytest.raises(SourceError, match="more than 500000 attributes"):
        tree_of(body)


def test_xml_is_read_in_pieces_that_end_anywhere() -> None:
    """A text longer than a piece is read whole, with characters and tags across the border."""
    body = ("<r>" + "<i>ü" + "é" * 50_000 + "</i>" * 1 + "<i>x</i>" * 60_000 + "</r>").encode()
    root = tree_of(body)
    assert len(root.children) == 60_001
    assert root.children[0].text == "ü" + "é" * 50_000


async def test_an_answer_that_no_memory_is_left_for_is_an_error_of_its_source() -> None:
    """A reader that runs out of memory is no bug of ours."""

    def greedy(_: bytes) -> None:
        raise MemoryError

    api = Api(context_of_doubles(fetch=PreparedFetch()), 1.0)
    for size in (20_000, 5 * 2**20):
        answer = Response(200, "OK", "application/json", bytes(size), size)
        with pytest.raises(SourceError, match="no memory"):
            await api.read(answer, greedy)
    assert ANSWER_BYTES_MAX <= 64 * 2**20


def test_files_and_lists_are_read_as_go_reads_them() -> None:
    """Names of fields in any case; halves of characters become the replacement character."""
    text = '[{"TARGETS": ["h:1"], "Labels": {"a": "\\ud800"}}]'
    assert groups_from_json(text, "f") == [(("h:1",), {"a": "\ufffd"})]
    assert groups_from_json('[{"targets": ["h:1", null], "labels": {"a": null}}]', "f") == [
        (("h:1", ""), {"a": ""})
    ]
