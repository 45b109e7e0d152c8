"""Randomness as a seam: names and keys come from here, so that a simulated world has the same ones each time."""

from __future__ import annotations

import os
import random
from typing import Final, Protocol


class Randomness(Protocol):
    """A source of bytes that nobody can guess."""

    def token(self, count: int) -> bytes:
        """As many random bytes."""
        ...


class SystemRandomness:
    """The system's source."""

    def token(self, count: int) -> bytes:
        """As many random bytes."""
        return os.urandom(count)


SYSTEM_RANDOMNESS: Final = SystemRandomness()


class SeededRandomness:
    """The double: the same seed gives the same bytes in the same order."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be guessed is its purpose

    def token(self, count: int) -> bytes:
        """The next bytes of the seed."""
        return self._random.randbytes(count)
