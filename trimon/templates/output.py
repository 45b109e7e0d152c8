"""The output of a template, made readable as UTF-8."""

from __future__ import annotations

import re
from typing import Final

from trimon.gotext.values import bytes_text, text_bytes

_INVALID: Final = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    """The text as UTF-8 can hold it: every byte that is no part of it becomes a replacement character."""
    if text.isascii() or not _INVALID.search(text):
        return text
    return _INVALID.sub("\ufffd", bytes_text(text_bytes(text)))
