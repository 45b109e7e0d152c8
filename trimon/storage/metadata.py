"""Type, help and unit of metric families, kept over restarts."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgpack

from trimon.errors import OperatingError
from trimon.files import Files

MAGIC: Final = b"TRIMMET1"
# A metric name is rarely longer than 64 bytes; this many families are some 50 MiB.
FAMILIES_MAX: Final = 200_000

FamilyMetadata = tuple[str, str, str, str]
"""(family, type, help, unit)."""


class MetadataBook:
    """The last word on every metric family.

    Changes wait for `publish`; readers see a dict that is replaced, never changed.
    """

    def __init__(self) -> None:
        self.families: dict[str, tuple[str, str, str]] = {}
        self._pending: dict[str, tuple[str, str, str]] = {}
        self._noted: set[str] = set()

    def update(self, families: Iterable[FamilyMetadata]) -> list[FamilyMetadata]:
        """Take note of families; those that are new or differ."""
        changed: list[FamilyMetadata] = []
        for family, *rest in families:
            about = (rest[0], rest[1], rest[2])
            known = self._pending.get(family, self.families.get(family))
            if known == about or (known is None and len(self.families) + len(self._pending) >= FAMILIES_MAX):
                continue
            self._pending[family] = about
            changed.append((family, *about))
        return changed

    def publish(self) -> None:
        """Make what was noted visible."""
        if self._pending:
            self.families = {**self.families, **self._pending}
            self._noted.update(self._pending)
            self._pending = {}

    def roll_back(self) -> None:
        """Forget what was noted since the last publish."""
        self._pending = {}

    def restore(self, families: Sequence[Sequence[str]]) -> None:
        """Families from the log: newer than the file, older than what was noted since the start."""
        restored = {
            family: (kind, text, unit) for family, kind, text, unit in families if family not in self._noted
        }
        self.families = {**self.families, **restored}

    def save(self, files: Files, path: Path) -> None:
        """Write the file. Raises OSError."""
        body = msgpack.packb([(family, *about) for family, about in self.families.items()])
        files.write_atomic(path, b"".join((MAGIC, zlib.crc32(body).to_bytes(4, "little"), body)))

    def load(self, files: Files, path: Path) -> None:
        """Read the file, if there is one. Raises OperatingError if it is damaged."""
        try:
            data = files.read(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise OperatingError(f"{path}: {error}") from error
        body = data[len(MAGIC) + 4 :]
        if (
            data[: len(MAGIC)] != MAGIC
            or zlib.crc32(body).to_bytes(4, "little") != data[len(MAGIC) : len(MAGIC) + 4]
        ):
            raise OperatingError(f"{path} does not pass its checksum; metadata starts empty")
        self.families = {family: (kind, text, unit) for family, kind, text, unit in msgpack.unpackb(body)}
