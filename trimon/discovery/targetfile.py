"""The content of a discovery file: a list of target groups in JSON or YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

import orjson

from trimon import limits
from trimon.config.discovery import StaticConfig
from trimon.config.filetext import read_text
from trimon.config.model import Source
from trimon.config.yaml.tree import Document
from trimon.discovery.asking.record import SourceError, has_halves, parsed
from trimon.discovery.plugin import TargetGroup
from trimon.errors import Position, UserError
from trimon.openfiles import require_regular

_FIELDS: Final = frozenset(("targets", "labels"))
FILE_LABEL: Final = "__meta_filepath"
_TEXT_OR_OPENING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]')
_SPACE: Final = re.compile(r"[ \t\n\r]*")
# A text of so many characters is read at once, in a few milliseconds.
_WHOLE_CHARACTERS: Final = 512 * 1024
NULL_ITEM: Final = "nil target group item found"


def read_groups(path: Path) -> list[TargetGroup]:
    """The groups of a file, as `groups_of` has them. Blocks on the disk. Raises UserError."""
    return list(groups_of(target_text(path), str(path)))


def groups_of(text: str, name: str) -> Iterator[TargetGroup]:
    """The groups of a file's text, sources `<file>:<index>`, labelled with the name of the file.

    Unknown fields, wrong types and null items refuse the whole file. Raises UserError.
    """
    for index, (targets, labels) in enumerate(_parsed(text, Path(name))):
        yield TargetGroup.of_addresses(f"{name}:{index}", targets, {**labels, FILE_LABEL: name})


def target_text(path: Path) -> str:
    """The text of a file. Blocks on the disk. Raises UserError."""
    try:
        require_regular(path)
    except OSError as error:
        raise UserError(f"open {path}: {(error.strerror or str(error)).lower()}") from None
    return read_text(path, limits.DISCOVERY_FILE_BYTES_MAX, lenient=path.suffix.lower() == ".json")


def read_target_file(path: Path) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    """Targets and labels of each group of a file, as they stand there. Blocks on the disk. Raises UserError."""
    return list(_parsed(target_text(path), path))


def _parsed(text: str, path: Path) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    return _of_json(text, str(path)) if path.suffix.lower() == ".json" else _of_yaml(text, path)


def _require_few(groups: int, file: str) -> None:
    if groups > limits.GROUPS_PER_PUBLISH_MAX:
        message = f"{groups} target groups; a file may have {limits.GROUPS_PER_PUBLISH_MAX}"
        raise UserError(message, Position(file=file))


def _require_few_containers(text: str, file: str) -> None:
    """What is only brackets takes thirty times as much memory as text."""
    most = limits.JSON_CONTAINERS_MAX
    if text.count("[") + text.count("{") <= most:
        return
    found = 0
    # Those in texts do not count. One call for all would keep the other threads waiting.
    for match in _TEXT_OR_OPENING.finditer(text):
        found += match.end() - match.start() == 1
        if found > most:
            message = f"json: more than {most} lists and objects, which are the most in one file"
            raise UserError(message, Position(file=file))


def _of_yaml(text: str, path: Path) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    document = Document(text, str(path))
    if document.root is None:
        return
    source = Source(document, path.parent)
    items = document.items(document.root, "[]*targetgroup.Group")
    _require_few(len(items), str(path))
    document.root = None
    items.reverse()
    for index in range(len(items)):
        # What is read is let go of: half a million nodes at one stretch would hold the interpreter's lock.
        item = items.pop()
        if item.is_null:
            document.refuse(item, f"{NULL_ITEM} (index {index})")
        group = StaticConfig.read(item, source)
        yield group.targets, dict(group.labels)


def groups_from_json(text: str, file: str) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    """Targets and labels of each group of a JSON text, `file` is its name in errors. Raises UserError."""
    return list(_of_json(text, file))


def _of_json(text: str, file: str) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    _require_few_containers(text, file)
    items = _json_items(text, file)
    _require_few(len(items), file)
    items.reverse()
    for index in range(len(items)):
        yield _group_of(items.pop(), index, file)


def _elements(text: str) -> list[object] | None:
    """The elements of a long array, read one by one: a call for all would hold the interpreter's lock. None for others."""
    at = _SPACE.match(text).end()  # type: ignore[union-attr] # it matches nothing, too
    if not text.startswith("[", at):
        return None
    read, found, at = json.JSONDecoder().raw_decode, list[object](), at + 1
    try:
        while True:
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr] # the same
            element, at = read(text, at)
            found.append(element)
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr] # the same
            if text.startswith("]", at):
                return found if _SPACE.fullmatch(text, at + 1) else None
            if not text.startswith(",", at):
                return None
            at += 1
    except (ValueError, RecursionError):
        return None  # who reads it as a whole says what is wrong


def _json_items(text: str, file: str) -> list[object]:
    halves = has_halves(text)
    if len(text) > _WHOLE_CHARACTERS and not halves:
        elements = _elements(text)
        if elements is not None:
            return elements
    try:
        items = parsed(text) if halves else orjson.loads(text)
    except SourceError as error:
        raise UserError(f"json: {error}", Position(file=file)) from None
    except orjson.JSONDecodeError as error:
        place = Position(error.lineno, error.colno, file)
        ends_early = error.pos >= len(text.rstrip())
        message = "unexpected end of JSON input" if ends_early else f"json: {error.msg}"
        raise UserError(message, place) from None
    if items is None:
        return []
    if not isinstance(items, list):
        _refuse(file, "a list of target groups is needed", items)
    return items


def _group_of(item: object, index: int, file: str) -> tuple[tuple[str, ...], dict[str, str]]:
    if item is None:
        raise UserError(f"{NULL_ITEM} (index {index})", Position(file=file))
    where = f"group {index}"
    if not isinstance(item, dict):
        _refuse(file, f"{where} is an object with targets and labels", item)
    # Go takes the names of fields in any case.
    fields = {name.lower(): value for name, value in item.items()}
    for field in item:
        if field.lower() not in _FIELDS:
            raise UserError(f'json: unknown field "{field}"', Position(file=file))
    # null is what a text is without a value: an empty one.
    targets = _without_null(fields.get("targets") or [])
    labels = _without_null(fields.get("labels") or {})
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        _refuse(file, f"{where}: targets is a list of strings", targets)
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        _refuse(file, f"{where}: labels is an object of strings", labels)
    if "" in labels:
        raise UserError('"" is not a valid label name', Position(file=file))
    return tuple(targets), labels


def _without_null(value: object) -> object:
    if isinstance(value, list):
        return ["" if each is None else each for each in value]
    if isinstance(value, dict):
        return {name: "" if each is None else each for name, each in value.items()}
    return value


def _refuse(file: str, wanted: str, got: object) -> NoReturn:
    # A number without a point is a float to one of the two readers where it has too many digits.
    is_number = isinstance(got, int | float) and not isinstance(got, bool)
    what = "number" if is_number else type(got).__name__
    raise UserError(f"json: {wanted}, not {what}", Position(file=file))
