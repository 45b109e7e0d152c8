"""Plain data as YAML, byte for byte as Prometheus' writer lays it out.

Lists stand at the column of their key, texts that would read as something else are in double quotes, texts of
several lines are literal blocks, and the keys of maps come in an order where `a2` is before `a10`.
"""

from __future__ import annotations

import functools
import re
from typing import Final

import yaml

from trimon.config.yaml.scalars import is_plain_text

_STRING: Final = "tag:yaml.org,2002:str"
_DIGITS = re.compile(r"\d*", re.ASCII)


class InOneLine(list[object]):
    """A list that is written as `[a, b]`."""


class _Dumper(yaml.CSafeDumper):
    """PyYAML's dumper without anchors, and without types: what each text means is decided here."""

    yaml_implicit_resolvers: dict[str, object] = {}  # noqa: RUF012 # PyYAML's attribute

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write every value out."""
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    if "\n" in text:
        return dumper.represent_scalar(_STRING, text, style="|")
    return dumper.represent_scalar(_STRING, text, style=None if is_plain_text(text) else '"')


def _flag(dumper: _Dumper, value: bool) -> yaml.ScalarNode:
    return dumper.represent_scalar(_STRING, "true" if value else "false")


def _number(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar(_STRING, f"{value:.17g}" if float(f"{value:g}") != value else f"{value:g}")


def _whole(dumper: _Dumper, value: int) -> yaml.ScalarNode:
    return dumper.represent_scalar(_STRING, str(value))


def _null(dumper: _Dumper, value: None) -> yaml.ScalarNode:  # noqa: ARG001 # PyYAML's signature
    return dumper.represent_scalar(_STRING, "null")


def _one_line(dumper: _Dumper, items: InOneLine) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(bool, _flag)
_Dumper.add_representer(int, _whole)
_Dumper.add_representer(float, _number)
_Dumper.add_representer(type(None), _null)
_Dumper.add_representer(InOneLine, _one_line)


def to_yaml(value: object) -> str:
    """Plain data as block YAML in the order given."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True
    )
    # PyYAML ends the document when its last block may go on; Prometheus' writer does not.
    return text[: -len("...\n")] if text.endswith("\n...\n") else text


def _compared(one: str, other: str) -> int:
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a == b:
            continue
        if a.isalpha() and b.isalpha():
            return -1 if a < b else 1
        if a.isalpha() or b.isalpha():
            return -1 if b.isalpha() else 1
        runs = [match[0] if (match := _DIGITS.match(text, index)) else "" for text in (one, other)]
        mine, others = (
            (int(run or 0), len(run), text[index]) for run, text in zip(runs, (one, other), strict=True)
        )
        return -1 if mine < others else 1
    return len(one) - len(other)


natural_order = functools.cmp_to_key(_compared)
"""Key of the order of map keys: numbers in them count as numbers, letters come after all else."""
