"""Pipelines with escapers at their end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trimon.templates.html.escapers import EVALUATE, PREFIX
from trimon.templates.nodes import Command, Identifier, Pipeline

# Functions of the language that escape.
PREDEFINED: Final = frozenset(("html", "urlquery"))
_EQUIVALENT: Final = {
    PREFIX + "attrescaper": "html",
    PREFIX + "htmlescaper": "html",
    PREFIX + "rcdataescaper": "html",
    PREFIX + "urlescaper": "urlquery",
    PREFIX + "urlnormalizer": "urlquery",
}
# Escapers that change nothing behind another one.
_REDUNDANT: Final = {
    PREFIX + "commentescaper": (PREFIX + "attrescaper", PREFIX + "htmlescaper"),
    PREFIX + "cssescaper": (PREFIX + "attrescaper",),
    PREFIX + "jsregexpescaper": (PREFIX + "attrescaper",),
    PREFIX + "jsstrescaper": (PREFIX + "attrescaper",),
    PREFIX + "jstmpllitescaper": (PREFIX + "attrescaper",),
    PREFIX + "urlescaper": (PREFIX + "urlnormalizer",),
}


def with_escapers(pipeline: Pipeline, escapers: Sequence[str]) -> Pipeline:
    """The pipeline and the escapers behind it; `html` or `urlquery` at its end stands for those like it."""
    names = [PREFIX + name for name in escapers]
    if not names:
        return pipeline
    commands = list(pipeline.commands)
    last = commands[-1].arguments[0]
    if isinstance(last, Identifier) and last.name in PREDEFINED:
        commands, names = _merged(pipeline, commands, last, names)
    present = {_normal(_name(command)) for command in commands}
    for name in names:
        if _normal(name) not in present:
            _append(commands, _command(name, pipeline))
    return Pipeline(pipeline.position, pipeline.source, pipeline.variables, pipeline.assigns, commands)


def _merged(
    pipeline: Pipeline, commands: list[Command], last: Identifier, names: list[str]
) -> tuple[list[Command], list[str]]:
    """Without the escaper at the end where one of the names is like it, which it then stands for."""
    end = commands[-1]
    if len(commands) == 1 and len(end.arguments) > 1:
        evaluate = Identifier(last.position, None, EVALUATE)
        commands[-1] = Command(end.position, end.source, [evaluate, *end.arguments[1:]])
        _append(commands, _command(last.name, pipeline))
    alike = [_normal(name) == last.name for name in names]
    if any(alike):
        commands.pop()
    return commands, [last.name if same else name for name, same in zip(names, alike, strict=True)]


def _normal(name: str) -> str:
    return _EQUIVALENT.get(name, name)


def _name(command: Command) -> str:
    first = command.arguments[0]
    return first.name if isinstance(first, Identifier) else ""


def _command(name: str, pipeline: Pipeline) -> Command:
    return Command(0, None, [Identifier(pipeline.position, None, name)])


def _append(commands: list[Command], command: Command) -> None:
    if commands and _name(command) in _REDUNDANT.get(_name(commands[-1]), ()):
        return
    commands.append(command)
