"""The index file of a Prometheus block, made from whole columns at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from trimon.model.table import LabelTable
from trimon.records import dataclass
from trimon.storage.head.arena import Int64s, ragged_positions
from trimon.storage.prometheus.crc import crc32c, crc32c_many
from trimon.storage.prometheus.index import MAGIC, SERIES_ALIGN, TOC, VERSION
from trimon.storage.prometheus.varint import write_all, zigzag_encoded
from trimon.wire import put_varint

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ChunkTable:
    """Chunks in order of series and time: the series' number, first and last time, reference."""

    series: Int64s
    first_ms: Int64s
    last_ms: Int64s
    refs: Int64s

    @classmethod
    def joined(cls, parts: Sequence[ChunkTable]) -> ChunkTable:
        """One table of consecutive ones."""
        return cls(
            np.concatenate([part.series for part in parts]),
            np.concatenate([part.first_ms for part in parts]),
            np.concatenate([part.last_ms for part in parts]),
            np.concatenate([part.refs for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """Label sets as runs of pairs, with symbols, and the rows in Prometheus' order.

    Row `r` has `pairs[offsets[r]:offsets[r + 1]]`, numbers of `names[pair]`, `values[pair]` (places in the
    sorted symbols); pairs are numbered in order of name and value.
    """

    symbols: list[str]
    names: Int64s
    values: Int64s
    pairs: Int64s
    offsets: Int64s
    order: Int64s

    @classmethod
    def of(cls, labels: LabelTable) -> SeriesTable:
        """The table of all rows of a label table."""
        used = [np.unique(column[column > 0]) for column in labels.columns]
        texts = [
            [values[c] for c in codes.tolist()] for codes, values in zip(used, labels.values, strict=True)
        ]
        present = {name for name, codes in zip(labels.names, used, strict=True) if len(codes)}
        symbols = sorted({"", *present, *(text for column in texts for text in column)})
        place = {text: number for number, text in enumerate(symbols)}
        names: list[int] = []
        values: list[int] = []
        rows: list[Int64s] = []
        pairs: list[Int64s] = []
        for name, column, codes, column_texts in zip(labels.names, labels.columns, used, texts, strict=True):
            if not len(codes):
                continue
            ranks = np.argsort(np.array([place[text] for text in column_texts]), kind="stable")
            table = np.zeros(int(codes.max()) + 1, np.int64)
            table[codes[ranks]] = len(names) + np.arange(len(codes))
            names.extend([place[name]] * len(codes))
            values.extend(place[column_texts[rank]] for rank in ranks.tolist())
            having = np.flatnonzero(column)
            rows.append(having)
            pairs.append(table[column[having]])
        all_rows = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        all_pairs = np.concatenate(pairs) if pairs else np.zeros(0, np.int64)
        by_row = np.argsort(all_rows, kind="stable")
        offsets = np.concatenate(([0], np.cumsum(np.bincount(all_rows, minlength=labels.rows))))
        flat = all_pairs[by_row]
        order = _order(flat, offsets)
        return cls(symbols, np.array(names, np.int64), np.array(values, np.int64), flat, offsets, order)


def _order(pairs: Int64s, offsets: Int64s) -> Int64s:
    """Rows sorted as sequences of pairs; a row that ends earlier comes first."""
    counts = np.diff(offsets)
    if len(counts) == 0:
        return np.zeros(0, np.int64)
    width = int(counts.max())
    keys = np.full((width, len(counts)), -1, np.int64)
    rows = np.repeat(np.arange(len(counts)), counts)
    keys[np.arange(len(pairs)) - offsets[:-1][rows], rows] = pairs
    return np.lexsort(keys[::-1])


def index_parts(table: SeriesTable, rows: Int64s, chunks: ChunkTable) -> Iterator[bytes]:
    """The file in parts. Series number `s` is row `rows[s]` of the table."""
    yield MAGIC.to_bytes(4, "big") + bytes([VERSION])
    offset = 5
    symbols = _sealed(_symbols(table.symbols))
    symbols += bytes(-(offset + len(symbols)) % SERIES_ALIGN)
    yield symbols
    series_at = offset + len(symbols)
    counts = np.diff(table.offsets)[rows]
    pairs = table.pairs[ragged_positions(table.offsets[rows], counts)]
    series, ids = _series(table, pairs, counts, chunks, series_at)
    yield series.tobytes()
    postings_at = series_at + len(series)
    postings, starts, numbers = _postings(pairs, np.repeat(ids, counts), ids)
    yield postings
    table_at = postings_at + len(postings)
    entries = [b"\x02\x00\x00" + put_varint(postings_at + int(starts[0]))]
    for number, start in zip(numbers.tolist(), starts[1:].tolist(), strict=True):
        name = table.symbols[table.names[number]].encode()
        value = table.symbols[table.values[number]].encode()
        where = put_varint(postings_at + start)
        entries.append(b"".join((b"\x02", put_varint(len(name)), name, put_varint(len(value)), value, where)))
    offsets = _sealed(len(entries).to_bytes(4, "big") + b"".join(entries))
    yield offsets
    toc = TOC.pack(5, series_at, table_at, table_at, postings_at, table_at, 0)[:-4]
    yield toc + crc32c(toc).to_bytes(4, "big")


def _sealed(content: bytes) -> bytes:
    return b"".join((len(content).to_bytes(4, "big"), content, crc32c(content).to_bytes(4, "big")))


def _symbols(symbols: Sequence[str]) -> bytes:
    encoded = [symbol.encode("utf-8", "replace") for symbol in symbols]
    parts = [field for text in encoded for field in (put_varint(len(text)), text)]
    return len(encoded).to_bytes(4, "big") + b"".join(parts)


def _series(
    table: SeriesTable, pairs: Int64s, counts: Int64s, chunks: ChunkTable, begin: int
) -> tuple[Bytes, Int64s]:
    """The series section, padded to whole words, and the id of every series."""
    chunk_counts = np.bincount(chunks.series, minlength=len(counts))
    sizes = 2 + 2 * counts + 3 * chunk_counts
    firsts = np.cumsum(sizes) - sizes
    numbers = np.zeros(int(sizes.sum()), np.uint64)
    numbers[firsts] = counts.astype(np.uint64)
    at = ragged_positions(firsts + 1, 2 * counts)
    numbers[at[0::2]] = table.names[pairs].astype(np.uint64)
    numbers[at[1::2]] = table.values[pairs].astype(np.uint64)
    numbers[firsts + 1 + 2 * counts] = chunk_counts.astype(np.uint64)
    at = ragged_positions(firsts + 2 + 2 * counts, 3 * chunk_counts)
    first = np.concatenate(([True], chunks.series[1:] != chunks.series[:-1]))
    before_ms = np.concatenate(([0], chunks.last_ms[:-1]))
    before_ref = np.concatenate(([0], chunks.refs[:-1]))
    start = np.where(first, zigzag_encoded(chunks.first_ms), (chunks.first_ms - before_ms).view(np.uint64))
    step = np.where(first, chunks.refs.view(np.uint64), zigzag_encoded(chunks.refs - before_ref))
    numbers[at[0::3]] = start
    numbers[at[1::3]] = (chunks.last_ms - chunks.first_ms).view(np.uint64)
    numbers[at[2::3]] = step
    body, lengths = write_all(numbers)
    body_sizes = np.add.reduceat(lengths, firsts)
    prefix, prefix_sizes = write_all(body_sizes.astype(np.uint64))
    totals = prefix_sizes + body_sizes + 4
    padded = -(-totals // SERIES_ALIGN) * SERIES_ALIGN
    places = np.cumsum(padded) - padded
    out = np.zeros(int(padded.sum()), np.uint8)
    out[ragged_positions(places, prefix_sizes)] = prefix
    out[ragged_positions(places + prefix_sizes, body_sizes)] = body
    sums = crc32c_many(out, places + prefix_sizes, body_sizes)
    for place in range(4):
        out[places + totals - 4 + place] = (sums >> np.uint32(24 - 8 * place)).astype(np.uint8)
    return out, (begin + places) // SERIES_ALIGN


def _postings(pairs: Int64s, ids: Int64s, every: Int64s) -> tuple[bytes, Int64s, Int64s]:
    """All posting lists, the one of all series first; where each begins; and the pairs of the others."""
    order = np.lexsort((ids, pairs))
    numbers, firsts, counts = np.unique(pairs[order], return_index=True, return_counts=True)
    sizes = np.concatenate(([len(every)], counts))
    members = np.concatenate((every, ids[order]))
    sources = np.concatenate(([0], firsts + len(every)))
    words = sizes + 3
    places = np.cumsum(words) - words
    out = np.zeros(int(words.sum()), ">u4")
    out[places] = 4 + 4 * sizes
    out[places + 1] = sizes
    out[ragged_positions(places + 2, sizes)] = members[ragged_positions(sources, sizes)]
    raw = out.view(np.uint8)
    out[places + 2 + sizes] = crc32c_many(raw, 4 * (places + 1), 4 + 4 * sizes)
    return out.tobytes(), 4 * places, numbers
