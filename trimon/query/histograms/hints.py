"""What is known of counter resets, as small numbers."""

from __future__ import annotations

from typing import Final

from trimon.model.histogram import ResetHint

HINTS: Final = (ResetHint.UNKNOWN, ResetHint.RESET, ResetHint.NOT_RESET, ResetHint.GAUGE)
HINT_CODES: Final = {hint: code for code, hint in enumerate(HINTS)}
UNKNOWN, RESET, NOT_RESET, GAUGE = range(4)
