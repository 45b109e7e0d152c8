"""A file of configuration as text: which encodings, which size, and what is told of a file that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimon.config import load
from trimon.config.filetext import read_text
from trimon.errors import UserError


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    """A missing file, bad UTF-8 and control characters are errors of the user, not tracebacks."""
    with pytest.raises(UserError, match=r"open .*none\.yml: no such file or directory"):
        load(tmp_path / "none.yml")
    bad = tmp_path / "bad.yml"
    bad.write_bytes(b"global:\n  x: \xff\n")
    with pytest.raises(UserError, match=r"bad\.yml:2: yaml: invalid UTF-8"):
        load(bad)
    bad.write_bytes(b"global:\n  x: \x01\n")
    with pytest.raises(UserError, match="yaml: "):
        load(bad)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_says_how_a_file_is_written(tmp_path: Path, encoding: str) -> None:
    """UTF-16 with its mark, and UTF-8 with one, are read as YAML has it; half a character is an error with its line."""
    text = "scrape_configs:\n- job_name: größe 🎉\n"
    mark = "" if encoding == "utf-8-sig" else "\ufeff"
    path = tmp_path / "p.yml"
    path.write_bytes((mark + text).encode(encoding))
    assert [job.job_name for job in load(path).scrape_configs] == ["größe 🎉"]
    if mark:
        path.write_bytes((mark + text).encode(encoding) + b"x")
        with pytest.raises(UserError, match=r"p\.yml:3: yaml: invalid UTF-16"):
            load(path)
        path.write_bytes(text.encode(encoding))
        with pytest.raises(UserError, match="yaml: "):
            load(path)


def test_a_file_has_a_size_at_most(tmp_path: Path) -> None:
    """A file of so many bytes is read whole; one of a byte more is an error that names it and the limit."""
    path = tmp_path / "p.yml"
    path.write_bytes(b"12345")
    assert read_text(path, 5) == "12345"
    with pytest.raises(UserError, match="file is larger than 4 bytes") as refused:
        read_text(path, 4)
    assert refused.value.position.file == str(path)


def test_a_lenient_reading_takes_what_is_no_text(tmp_path: Path) -> None:
    """What is no UTF-8 is replaced where somebody only shows the text."""
    path = tmp_path / "p.yml"
    path.write_bytes(b"a\xffb")
    assert read_text(path, 5, lenient=True) == "a\ufffdb"
