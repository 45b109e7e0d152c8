"""XML from outside: trees of bounded size, without entities."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.discovery.asking import xmltree
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.xmltree import tree_of


def test_what_is_in_an_element_is_kept_as_it_is_written() -> None:
    """The inner text begins after a start tag, whatever its attributes have, and is empty in an empty element."""
    body = b"<r><p:a x='>' y=\">'\">1 &amp; <c/><![CDATA[<]]></p:a><b/></r>"
    first, second = tree_of(body).children
    assert (first.name, first.inner(body), first.text) == ("a", "1 &amp; <c/><![CDATA[<]]>", "1 & <")
    assert second.inner(body) == ""


def test_the_number_of_elements_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of elements is refused."""
    monkeypatch.setattr(xmltree, "ELEMENTS_MAX", 10)
    with pytest.raises(SourceError, match="more than 10 elements"):
        tree_of(b"<a>" + b"<b/>" * 10 + b"</a>")


@pytest.mark.parametrize(
    "before",
    [
        "<!DOCTYPE a>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
        "<!DOCTYPE a SYSTEM 'http://other/x.dtd'>",
    ],
)
def test_a_document_type_is_refused(before: str) -> None:
    """No entity can be declared, so none can grow or read a file."""
    with pytest.raises(SourceError, match="document type"):
        tree_of(f"{before}<a/>".encode())


def test_depth_is_bounded() -> None:
    """A document that is nested for ever is refused."""
    with pytest.raises(SourceError, match="deeper than"):
        tree_of(b"<a>" * 100_000)


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_no_bytes_are_a_crash(body: bytes) -> None:
    """Any bytes are a tree or SourceError, and so is what is in it."""
    for each in (body, b"<a><b x='" + body + b"'/>" + body + b"</a>"):
        try:
            tree_of(each)
        except SourceError:
            continue
