"""What is made of texts that clients send, kept while they are sent again, in memory that does not depend on the texts."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
# Characters of a text that is kept at all. Dashboards ask the same short ones again and again.
LONGEST: Final = 8192
# Characters of all that a cache keeps: of a query a tree takes some 70 bytes for each, and 200 where there is nothing but
# operators.
_CHARACTERS_MAX: Final = 128 * 1024
# A text by which something is known is kept as it is up to here; of a longer one a digest, however long it is.
_KEY_CHARACTERS: Final = 256


class TextCache(Generic[T]):
    """The last results of a function of a text, as long as their texts have no more than so many characters together.

    What is made of a text takes memory by its length, so that a number of texts is no bound. A text of more than
    `longest` characters is never kept. What `make` raises passes through, and is made again. Any thread may call.
    """

    def __init__(
        self, make: Callable[[str], T], characters_max: int = _CHARACTERS_MAX, longest: int = LONGEST
    ) -> None:
        self._make = make
        self._characters_max = characters_max
        self._longest = longest
        self._found: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()
        self.characters = 0

    def __len__(self) -> int:
        return len(self._found)

    def get(self, text: str) -> T:
        """What is made of the text, now or before."""
        if len(text) > self._longest:
            return self._make(text)
        with self._lock:
            if text in self._found:
                self._found.move_to_end(text)
                return self._found[text]
        made = self._make(text)
        with self._lock:
            if text not in self._found:
                self._found[text] = made
                self.characters += len(text)
                while self.characters > self._characters_max:
                    self.characters -= len(self._found.popitem(last=False)[0])
        return made

    def clear(self) -> None:
        """Forgets all of them."""
        with self._lock:
            self._found.clear()
            self.characters = 0


def key_of(text: str) -> str | bytes:
    """By what a text is known where it is never shown: it takes no more memory than a short one."""
    if len(text) <= _KEY_CHARACTERS:
        return text
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
