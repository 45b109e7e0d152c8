"""XML-RPC: calls and answers, against Python's own reading and writing of them."""

from __future__ import annotations

import xmlrpc.client
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.xmlrpc import RpcFault, call, result

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))
VALUES = st.recursive(
    TEXT
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_answers_are_read(value: Any) -> None:
    """What another implementation writes is what is read."""
    assert result(xmlrpc.client.dumps((value,), methodresponse=True).encode()) == value


@given(TEXT, st.integers(-(2**31), 2**31 - 1), st.lists(st.integers(0, 2**31 - 1), max_size=5))
def test_calls_are_written(text: str, number: int, numbers: list[int]) -> None:
    """What is written is what another implementation reads."""
    params, method = xmlrpc.client.loads(call("a.b", [text, number, numbers]))
    assert (params, method) == ((text, number, numbers), "a.b")


def test_what_xml_cannot_have_is_replaced() -> None:
    """A password with a null byte is a wrong password, and no broken call."""
    assert b"a\xef\xbf\xbdb" in call("m", ["a\0b"])


def test_a_fault_is_trouble() -> None:
    """A call that the server refuses raises with what it said."""
    fault = xmlrpc.client.dumps(xmlrpc.client.Fault(7, "no"), methodresponse=True).encode()
    with pytest.raises(RpcFault, match="fault 7: no"):
        result(fault)


@pytest.mark.parametrize(
    "body",
    [
        "", "<methodResponse/>", "<a><fault/></a>", "<a><params/></a>", "<a><params><param/></params></a>",
        "<a><params><param><value><int>x</int></value></param></params></a>",
        "<a><params><param><value><boolean>2</boolean></value></param></params></a>",
        "<a><params><param><value><double>x</double></value></param></params></a>",
        "<a><params><param><value><array/></value></param></params></a>",
        "<a><params><param><value><struct><member/></struct></value></param></params></a>",
        "<a><params><param><value><int/><int/></value></param></params></a>",
        "<a><params><param><value><other/></value></param></params></a>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
    ],
)  # fmt: skip
def test_what_is_no_answer_is_trouble(body: str) -> None:
    """Nothing but SourceError is raised."""
    with pytest.raises(SourceError):
        result(body.encode())
