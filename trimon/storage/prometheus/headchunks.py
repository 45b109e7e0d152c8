"""Which samples begin a chunk, as the files of Prometheus' head say: `chunks_head`.

What is in them is in the log, too; where their chunks begin is not, and it decides which buckets a histogram has.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.storage.prometheus.histogramchunks import ENCODINGS
from trimon.storage.prometheus.varint import FormatError, uvarint_at

_MAGIC: Final = b"\x01\x30\xbc\x91"
_FILE_HEAD_BYTES: Final = 8
_CHUNK_HEAD: Final = struct.Struct(">QqqB")
_CHECKSUM_BYTES: Final = 4

# Times of the first samples of chunks, by Prometheus' reference of the series.
ChunkStarts = dict[int, set[int]]


def histogram_chunk_starts(files: Files, path: Path) -> ChunkStarts:
    """Where chunks of native histograms begin that came in order. Raises OperatingError if a file cannot be read at all.

    A file ends at the first thing that is no chunk: it is allocated ahead, and Prometheus may have been killed.
    """
    found: ChunkStarts = {}
    for name in files.names(path):
        if not name.isdecimal():
            continue
        try:
            data = files.read(path / name)
        except OSError as error:
            raise OperatingError(f"{path / name}: {error}") from error
        if data[:4] == _MAGIC:
            _note(data, found)
    return found


def _note(data: bytes, found: ChunkStarts) -> None:
    at = _FILE_HEAD_BYTES
    while at + _CHUNK_HEAD.size <= len(data):
        ref, first_ms, last_ms, encoding = _CHUNK_HEAD.unpack_from(data, at)
        if encoding == 0 or last_ms < first_ms:
            return
        try:
            length, at = uvarint_at(data, at + _CHUNK_HEAD.size)
        except FormatError:
            return
        at += length + _CHECKSUM_BYTES
        # Chunks that came out of order have a bit more, and are none of these.
        if encoding in ENCODINGS and at <= len(data):
            found.setdefault(ref, set()).add(first_ms)
