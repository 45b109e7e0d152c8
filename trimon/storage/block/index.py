"""The index of a block as its readers see it: what is lost with both copies makes the block unreadable."""

from __future__ import annotations

from pathlib import Path

from trimon.openfiles import ReadFile
from trimon.storage.block.container import Container
from trimon.storage.block.damage import BlockDamage, DamagedError, UnreadableIndexError


class BlockIndex(Container):
    """Sections of an index. `times` is the closed interval of the block, which is named when it becomes unreadable."""

    def __init__(self, file: ReadFile, path: Path, damage: BlockDamage) -> None:
        super().__init__(file, path, damage.survive)
        self.damage = damage
        self.times_ms = (0, 0)

    def read(self, name: str) -> bytes:
        """A section's content. Raises UnreadableIndexError, after noting it."""
        try:
            return super().read(name)
        except DamagedError as error:
            self.damage.lose_all(f"its index, of which section {name} is damaged,", *self.times_ms)
            raise UnreadableIndexError(str(error)) from error
