"""What holds for every test: one test's secrets are words to the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trimon.redaction import REDACTOR


@pytest.fixture(autouse=True)
def _nothing_is_secret_yet() -> Iterator[None]:
    """A password in the configuration of one test is not masked in the texts of another."""
    REDACTOR.forget()
    yield
    REDACTOR.forget()
