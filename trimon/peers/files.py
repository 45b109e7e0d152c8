"""Secrets and certificates in files that the configuration names. All blocks on the disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trimon import limits
from trimon.fetch.headers import fault_of_value
from trimon.fetch.request import FetchError
from trimon.openfiles import os_errors, read_regular
from trimon.redaction import REDACTOR


def read_secret(path: str) -> str:
    """The content of a file without white space around it, which is a secret from now on. Raises FetchError."""
    try:
        with os_errors(path):
            data = read_regular(Path(path), limits.SECRET_FILE_BYTES_MAX).replace(b"\r\n", b"\n")
            text = data.decode("utf-8").strip()
    except (OSError, ValueError) as error:  # the latter: a path with a null byte, a text that is not UTF-8
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise FetchError(f"unable to read file {path}: {reason}") from None
    REDACTOR.add(text)
    return text


def read_header(path: str) -> str:
    """A file whose contents become the value of a header."""
    text = read_secret(path)
    if fault := fault_of_value(text):
        raise FetchError(f"file {path} cannot be sent in a header: it has {fault}")
    return text


def read_certificate(path: str) -> bytes:
    """A file with certificates or a key. Raises OSError."""
    return read_regular(Path(path), limits.CERTIFICATE_FILE_BYTES_MAX)


@contextmanager
def short_lived(content: bytes) -> Iterator[str]:
    """The name of a file with the content: ssl reads from files only, and would wait for ever for one that is none."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(content)
        file.flush()
        yield file.name
