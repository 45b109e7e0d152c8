"""What a source said in JSON, read as what it has to be: a wrong type is an error with its place, never a guess."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Final, Self, TypeVar

from trimon.errors import OperatingError

T = TypeVar("T")

# A second of the interpreter's lock.
VALUES_MAX: Final = 3_000_000
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class SourceError(OperatingError):
    """The source of targets cannot be asked, or its answer cannot be used. What is known stays.

    `retry_after_s` is how long it wants to be left alone, 0 where it does not say.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Record:
    """A JSON object. What is missing or null is empty or zero; what has another type raises SourceError.

    Names of fields are found in any case, that in which they are asked for first, as Go's reader of JSON has it.
    """

    __slots__ = ("_fields", "_folded", "_path")

    def __init__(self, fields: Mapping[str, object], path: str = "") -> None:
        self._fields = fields
        self._path = path
        self._folded: dict[str, object] | None = None

    @classmethod
    def of_json(cls, body: bytes | str) -> Self:
        """The object of a JSON text. Raises SourceError."""
        return cls(_object(parsed(body), ""))

    @classmethod
    def list_of_json(cls, body: bytes | str) -> list[Self]:
        """The objects of a JSON array; null is none. Raises SourceError."""
        return [cls(_object(each, f"[{at}]"), f"[{at}]") for at, each in enumerate(_array(parsed(body), ""))]

    def __contains__(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self.raw(name) is not None

    def keys(self) -> list[str]:
        """The names of all fields."""
        return list(self._fields)

    def raw(self, name: str) -> object:
        """A field as it is; None where it is missing."""
        found = self._fields.get(name)
        if found is not None or name in self._fields:
            return found
        if self._folded is None:
            self._folded = {each.casefold(): value for each, value in self._fields.items()}
        return self._folded.get(name.casefold())

    def text(self, name: str) -> str:
        """A string."""
        return self._typed(name, str, "")

    def whole(self, name: str) -> int:
        """A whole number of at most 64 bits."""
        found = self._typed(name, int, 0)
        if not -(2**63) <= found < 2**64:
            raise SourceError(f"field {self._at(name)} of the answer is a number of more than 64 bits")
        return found

    def number(self, name: str) -> float:
        """A number that is finite."""
        try:
            whole = isinstance(self.raw(name), int)
            found = float(self.whole(name)) if whole else self._typed(name, float, 0.0)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            raise SourceError(f"field {self._at(name)} of the answer is {found}; it has to be finite")
        return found

    def flag(self, name: str) -> bool:
        """A boolean."""
        return self._typed(name, bool, default=False)

    def record(self, name: str) -> Self:
        """An object; empty where it is missing."""
        return type(self)(self._typed(name, dict, {}), self._at(name))

    def records(self, name: str) -> list[Self]:
        """An array of objects; null is an empty one."""
        at = self._at(name)
        items = self._typed(name, list, [])
        return [
            type(self)(_object(each, f"{at}[{index}]"), f"{at}[{index}]") for index, each in enumerate(items)
        ]

    def record_map(self, name: str) -> dict[str, Self]:
        """An object of objects."""
        inner = self.record(name)
        return {key: inner.record(key) for key in inner.keys()}  # noqa: SIM118 # a record is no mapping

    def texts(self, name: str) -> list[str]:
        """An array of strings."""
        items = self._typed(name, list, [])
        return [_of_type(each, str, "", f"{self._at(name)}[{index}]") for index, each in enumerate(items)]

    def wholes(self, name: str) -> list[int]:
        """An array of whole numbers."""
        items = self._typed(name, list, [])
        return [_of_type(each, int, 0, f"{self._at(name)}[{index}]") for index, each in enumerate(items)]

    def text_map(self, name: str) -> dict[str, str]:
        """An object of strings."""
        inner = self.record(name)
        return {key: inner.text(key) for key in inner.keys()}  # noqa: SIM118 # a record is no mapping

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _typed(self, name: str, kind: type[T], default: T) -> T:
        return _of_type(self.raw(name), kind, default, self._at(name))


class ExactRecord(Record):
    """The same for sources whose own clients find names in their case alone: Kubernetes, AWS, Azure, Protobuf's JSON."""

    __slots__ = ()

    def raw(self, name: str) -> object:
        """A field as it is; None where it is missing."""
        return self._fields.get(name)


def parsed(body: bytes | str) -> object:
    """The value of a JSON text. What is no character in it becomes the replacement character. Raises SourceError."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    # What separates values is counted where it cannot be in a text, too: nobody's answer has a tenth as many.
    if text.count(",") + text.count("[") + text.count("{") > VALUES_MAX:
        raise SourceError(f"the answer has more than {VALUES_MAX} values")
    try:
        value = json.loads(text)
        return without_halves(value) if has_halves(text) else value
    except RecursionError:
        raise SourceError("the answer is not JSON: it is nested too deep") from None
    except ValueError as error:
        raise SourceError(f"the answer is not JSON: {error}") from None


def has_halves(text: str) -> bool:
    """Whether a JSON text may have halves of characters (surrogates) by their escapes."""
    return _ESCAPED_SURROGATE.search(text) is not None


def without_halves(value: object) -> object:
    """A value of JSON with the replacement character for each half: whoever makes a URL or a label of one would fail."""
    written = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
    replaced: object = json.loads(written.decode("utf-16", "replace"))
    return replaced


def _object(value: object, path: str) -> dict[str, object]:
    return _of_type(value, dict, {}, path)


def _array(value: object, path: str) -> list[object]:
    return _of_type(value, list, [], path)


def _of_type(value: object, kind: type[T], default: T, path: str) -> T:
    if value is None:
        return default
    if isinstance(value, str) and not value.isascii():
        _refuse_surrogates(value, path)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        where = f"field {path} of the answer" if path else "the answer"
        raise SourceError(f"{where} is of type {type(value).__name__}; it has to be {kind.__name__}")
    return value


def _refuse_surrogates(value: str, path: str) -> None:
    """JSON can say half a character; nothing can be done with it, in a label or in a request."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SourceError(f"field {path} of the answer is no valid Unicode") from None
