"""XML-RPC: calls as text, and what an answer says as plain values. Source: http://xmlrpc.com/spec.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias
from xml.sax.saxutils import escape

from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.xmltree import Element, tree_of

Argument: TypeAlias = str | int | Sequence[int]

_QUOTES: Final = {'"': "&#34;", "'": "&#39;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"}
_NO_CHARACTER: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WHOLES: Final = frozenset(("int", "i4", "i8", "i2", "i1"))
_TEXTS: Final = frozenset(("string", "dateTime.iso8601", "base64"))


class RpcFault(SourceError):
    """The server refused a call."""


def call(method: str, arguments: Sequence[Argument]) -> bytes:
    """The text of a call."""
    params = "".join(f"<param>{_written(argument)}</param>" for argument in arguments)
    text = f"<methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()


def result(body: bytes) -> object:
    """The value of an answer: text, number, flag, list, dictionary or None. Raises RpcFault, SourceError."""
    answer = tree_of(body)
    fault = answer.child("fault")
    if fault is not None:
        said = _value(_only(fault, "value"))
        fields = said if isinstance(said, dict) else {}
        raise RpcFault(f"fault {fields.get('faultCode')}: {str(fields.get('faultString'))[:200]}")
    params = _only(answer, "params")
    return _value(_only(_only(params, "param"), "value"))


def _written(argument: Argument) -> str:
    if isinstance(argument, str):
        return f"<value><string>{escape(_NO_CHARACTER.sub(chr(0xFFFD), argument), _QUOTES)}</string></value>"
    if isinstance(argument, int):
        return f"<value><int>{argument}</int></value>"
    items = "".join(_written(each) for each in argument)
    return f"<value><array><data>{items}</data></array></value>"


def _value(value: Element) -> object:
    """A value; how deep it is nested is bounded by the reader of XML."""
    if not value.children:
        return value.text
    (typed,) = value.children if len(value.children) == 1 else (None,)
    if typed is None:
        raise SourceError("a value of the answer has several types")
    if typed.name in _TEXTS:
        return typed.text
    if typed.name in _WHOLES:
        return typed.whole()
    if typed.name == "boolean":
        return _flag(typed.text.strip())
    if typed.name == "double":
        return _number(typed.text)
    if typed.name == "nil":
        return None
    if typed.name == "array":
        return [_value(each) for each in _only(typed, "data").children if each.name == "value"]
    if typed.name == "struct":
        members = (each for each in typed.children if each.name == "member")
        return {each.text_of("name"): _value(_only(each, "value")) for each in members}
    raise SourceError(f"a value of the answer is of type {typed.name[:40]!r}, which is none")


def _only(element: Element, name: str) -> Element:
    child = element.child(name)
    if child is None:
        raise SourceError(f"the answer has no {name} in {element.name[:40]}")
    return child


def _flag(text: str) -> bool:
    if text not in ("0", "1", "true", "false"):
        raise SourceError(f"{text[:40]!r} is no boolean")
    return text in ("1", "true")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SourceError(f"{text[:40]!r} is no number") from None
