"""Selectors of Kubernetes: what is wrong with one. The API server is what applies them."""

from __future__ import annotations

import re
from typing import Final

from trimon.gotext.strings import go_quote

SELECTED: Final = {
    "pod": ("pod", "node"),
    "service": ("service",),
    "endpoints": ("pod", "service", "endpoints"),
    "endpointslice": ("pod", "service", "endpointslice"),
    "node": ("node",),
    "ingress": ("ingress",),
}
"""The roles, each with those that its selectors may have."""
_TERM: Final = re.compile(r"((?:\\.|[^\\,])*)(?:,|$)", re.DOTALL)
_TOKEN: Final = re.compile(r"\s*(?:(!=|==|=|!|<|>|,|\(|\))|([^\s=!(),<>]+))")
_WORDS: Final = ("in", "notin")
_COMPARISONS: Final = ("=", "==", "!=", "<", ">")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DOMAIN: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_PART_MAX: Final = 63


def field_selector_fault(text: str) -> str:
    """What is wrong with `field=value,field!=value`; empty for nothing."""
    for match in _TERM.finditer(text):
        term = match[1]
        if term and "=" not in term:
            return f"invalid selector: '{text}'; can't understand '{term}'"
    return ""


def label_selector_fault(text: str) -> str:
    """What is wrong with requirements such as `a=b,c in (d,e),!f`; empty for nothing."""
    tokens = _tokens(text)
    return _Requirements(tokens).fault() if tokens else ""


def _tokens(text: str) -> list[str]:
    found = [match[1] or match[2] for match in _TOKEN.finditer(text)]
    return [word for word in found if word]


class _Requirements:
    """The requirements of a selector, read one after the other."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def fault(self) -> str:
        """The first thing that is wrong."""
        while True:
            if fault := self._requirement():
                return f"unable to parse requirement: {fault}"
            word = self._next()
            if not word:
                return ""
            if word != ",":
                return f"found '{word}', expected: ',' or 'end of string'"
            if not (_is_word(self._peek()) or self._peek() == "!"):
                return f"found '{self._peek()}', expected: identifier after ','"

    def _requirement(self) -> str:
        negated = self._peek() == "!"
        if negated:
            self._next()
        key = self._next()
        if not _is_word(key):
            return f"found '{key}', expected: identifier"
        if fault := _key_fault(key):
            return fault
        if negated or self._peek() in ("", ","):
            return ""
        operator = self._next()
        if operator in _WORDS:
            return self._set()
        if operator in _COMPARISONS:
            return self._value()
        return f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt"

    def _value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        value = self._next()
        if not _is_word(value):
            return f"found '{value}', expected: identifier"
        return _value_fault(value)

    def _set(self) -> str:
        opened = self._next()
        if opened != "(":
            return f"found '{opened}', expected: '('"
        while True:
            word = self._next()
            if word == ")":
                return ""
            if word != "," and not _is_word(word):
                return f"found '{word}', expected: ',', ')' or identifier"
            if word != "," and (fault := _value_fault(word)):
                return fault


def _is_word(word: str) -> bool:
    return bool(word) and word not in ("!", ",", "(", ")", *_COMPARISONS)


def _key_fault(key: str) -> str:
    domain, slash, name = key.rpartition("/")
    if (slash and not _DOMAIN.fullmatch(domain)) or len(name) > _PART_MAX or not _NAME.fullmatch(name):
        return f"{go_quote(key)} is not a valid label key"
    return ""


def _value_fault(value: str) -> str:
    if len(value) > _PART_MAX or not _NAME.fullmatch(value):
        return f"{go_quote(value)} is not a valid label value"
    return ""
