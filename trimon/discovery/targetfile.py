"""The content of a discovery file: a list of target groups in JSON or YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NoReturn

import orjson

from trimon import limits
from trimon.config.discovery import StaticConfig
from trimon.config.load import read_text
from trimon.config.model import Source
from trimon.config.yaml.tree import Document
from trimon.discovery.asking.record import SourceError, has_halves, parsed
from trimon.discovery.plugin import TargetGroup
from trimon.errors import Position, UserError
from trimon.openfiles import require_regular

_FIELDS: Final = frozenset(("targets", "labels"))
FILE_LABEL: Final = "__meta_filepath"
_TEXT_OR_OPENING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]')
NULL_ITEM: Final = "nil target group item found"


def read_groups(path: Path) -> list[TargetGroup]:
    """The groups of a file, as `groups_of` has them. Blocks on the disk. Raises UserError."""
    return groups_of(target_text(path), path)


def groups_of(text: str, path: Path) -> list[TargetGroup]:
    """The groups of a file's text, sources `<file>:<index>`, labelled with the path.

    Unknown fields, wrong types and null items refuse the whole file. Raises UserError.
    """
    return [
        TargetGroup.of_addresses(f"{path}:{index}", targets, {**labels, FILE_LABEL: str(path)})
        for index, (targets, labels) in enumerate(_parsed(text, path))
    ]


def target_text(path: Path) -> str:
    """The text of a file. Blocks on the disk. Raises UserError."""
    try:
        require_regular(path)
    except OSError as error:
        raise UserError(f"open {path}: {(error.strerror or str(error)).lower()}") from None
    return read_text(path, limits.DISCOVERY_FILE_BYTES_MAX, lenient=path.suffix.lower() == ".json")


def read_target_file(path: Path) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    """Targets and labels of each group of a file, as they stand there. Blocks on the disk. Raises UserError."""
    return _parsed(target_text(path), path)


def _parsed(text: str, path: Path) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    return groups_from_json(text, str(path)) if path.suffix.lower() == ".json" else _from_yaml(text, path)


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


def _from_yaml(text: str, path: Path) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    document = Document(text, str(path))
    if document.root is None:
        return []
    source = Source(document, path.parent)
    groups = []
    items = document.items(document.root, "[]*targetgroup.Group")
    _require_few(len(items), str(path))
    for index, item in enumerate(items):
        if item.is_null:
            document.refuse(item, f"{NULL_ITEM} (index {index})")
        group = StaticConfig.read(item, source)
        groups.append((group.targets, dict(group.labels)))
    return groups


def groups_from_json(text: str, file: str) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    """Targets and labels of each group of a JSON text, `file` is its name in errors. Raises UserError."""
    _require_few_containers(text, file)
    try:
        items = parsed(text) if has_halves(text) else orjson.loads(text)
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
    _require_few(len(items), file)
    groups = []
    for index, item in enumerate(items):
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
        groups.append((tuple(targets), labels))
    return groups


def _without_null(value: object) -> object:
    if isinstance(value, list):
        return ["" if each is None else each for each in value]
    if isinstance(value, dict):
        return {name: "" if each is None else each for name, each in value.items()}
    return value


def _refuse(file: str, wanted: str, got: object) -> NoReturn:
    raise UserError(f"json: {wanted}, not {type(got).__name__}", Position(file=file))
