"""What holds for every test: one test's secrets are words to the next, and no example is too slow on a busy machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from trimon.redaction import REDACTOR

settings.register_profile("trimon", deadline=None, print_blob=True)
settings.load_profile("trimon")


@pytest.fixture(autouse=True)
def _nothing_is_secret_yet() -> Iterator[None]:
    """A password in the configuration of one test is not masked in the texts of another."""
    REDACTOR.forget()
    yield
    REDACTOR.forget()
