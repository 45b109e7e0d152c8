"""A matrix of samples, a row per series, as bytes: bit-exact for every float64.

Every series gets a class. CONSTANT: one value. DELTA: the values are `mantissa / 10**exponent`; stored are
the differences of the mantissas less their mean. SECOND: the differences of these. XOR: the bits XORed with
those before. Differences are zigzagged and stored as byte planes of 1, 2, 4 or 8 bytes, series of one class
and width together, each plane a zstd frame. What breaks the pattern of a decimal series (NaN, infinities,
-0, ABSENT) is stored aside as an exception. The byte layout is in docs/storage-format.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import zstandard

from trimon.errors import OperatingError
from trimon.storage.head.arena import Bools, Floats, Int64s, UInt64s, ragged_positions

CONSTANT: Final = 0
DELTA: Final = 1
SECOND: Final = 2
XOR: Final = 3
# A class and a width of 1 << code bytes make a group: class + 4 * code.
_WIDTHS: Final = (1, 2, 4, 8)
_TYPES: Final = (np.uint8, np.dtype("<u2"), np.dtype("<u4"), np.dtype("<u8"))
_SIGNED: Final = (np.int8, np.dtype("<i2"), np.dtype("<i4"), np.dtype("<i8"))

_EXPONENTS: Final = np.array([1, 2, 3, 4, 6, 9, 12, 15])
_PROBES: Final = 16
_EXACT_MAX: Final = float(1 << 53)
_HEAD: Final = struct.Struct("<IIII")
# Series are rebuilt so many samples at a time: their numbers stay in the processor's cache, and below the 128 KiB
# from which on an allocator asks the kernel for fresh pages.
_BLOCK_SAMPLES: Final = 12_000

# Levels: in memory and for the first block speed counts, for merged blocks size does.
LEVEL_FAST: Final = 1
LEVEL_SMALL: Final = 9

Bytes = npt.NDArray[np.uint8]


class CodecError(OperatingError):
    """Bytes that are no encoded matrix."""


def encode(values: Floats, level: int = LEVEL_FAST) -> bytes:
    """The bytes of a matrix `values[series, samples]`."""
    count, samples = values.shape
    compressors = [zstandard.ZstdCompressor(level=each) for each in {LEVEL_FAST, level}]
    compressor = compressors[-1]
    if count == 0 or samples == 0:
        return _HEAD.pack(count, samples, 0, 0)
    values = np.ascontiguousarray(values)
    bits = values.view(np.int64)
    groups = np.full(count, XOR + 4 * 3, np.uint8)
    exponents = np.zeros(count, np.uint8)
    firsts = bits[:, 0].copy()
    bases = np.zeros(count, np.int64)
    frames: list[bytes] = []
    exceptions: list[Int64s] = []
    constant = (bits == bits[:, :1]).all(axis=1)
    groups[constant] = CONSTANT
    varying = np.flatnonzero(~constant)
    planes: dict[int, list[tuple[Int64s, npt.NDArray[np.generic]]]] = {}
    for exponent, series, mantissas, broken in _decimal(values, varying) if len(varying) else ():
        if broken.any():
            exceptions.append(np.flatnonzero(_spread(broken, series, count)))
            _fill(mantissas, broken)
        exponents[series] = exponent
        firsts[series] = mantissas[:, 0]
        _plan_differences(mantissas, series, groups, bases, planes)
    rest = np.flatnonzero(groups == XOR + 4 * 3)
    if len(rest):
        crossed = bits[rest]
        crossed[:, 1:] ^= bits[rest, :-1]
        crossed[:, 0] = 0
        planes.setdefault(XOR + 4 * 3, []).append((rest, crossed.view(np.uint64)))
    for group in sorted(planes):
        frames.extend(_planes(planes[group], group, compressors))
    broken_at = np.sort(np.concatenate(exceptions)) if exceptions else np.zeros(0, np.int64)
    aside = np.diff(broken_at, prepend=0).astype("<u4").tobytes() + bits.reshape(-1)[broken_at].tobytes()
    columns = groups.tobytes() + exponents.tobytes() + _planar(firsts) + _planar(bases)
    parts = [compressor.compress(columns), compressor.compress(aside) if len(broken_at) else b"", *frames]
    lengths = np.array([len(part) for part in parts], "<u4").tobytes()
    return b"".join((_HEAD.pack(count, samples, len(broken_at), len(parts)), lengths, *parts))


def shape(data: bytes | memoryview) -> tuple[int, int]:
    """Series and samples of encoded bytes."""
    count, samples, _, _ = _HEAD.unpack_from(data)
    return count, samples


def decode(data: bytes | memoryview, series: npt.NDArray[np.intp] | None = None) -> Floats:
    """The matrix, or the given rows of it in the given order. Raises CodecError."""
    try:
        return _decode(memoryview(data), series)
    except (zstandard.ZstdError, struct.error, ValueError, IndexError) as error:
        raise CodecError(f"encoded samples: {error}") from error


def _decode(data: memoryview, wanted: npt.NDArray[np.intp] | None) -> Floats:
    count, samples, broken_count, part_count = _HEAD.unpack_from(data)
    if count == 0 or samples == 0:
        return np.zeros((count if wanted is None else len(wanted), samples))
    lengths = np.frombuffer(data, "<u4", part_count, _HEAD.size).tolist()
    decompress = zstandard.ZstdDecompressor().decompress
    offset = _HEAD.size + 4 * part_count
    parts = _Parts(data, offset, lengths)
    columns = np.frombuffer(decompress(parts.take()), np.uint8)
    aside = parts.take()
    groups, exponents = columns[:count], columns[count : 2 * count]
    firsts = _unplanar(columns[2 * count : 10 * count], count)
    bases = _unplanar(columns[10 * count : 18 * count], count)
    if wanted is None:
        order = np.arange(count)
        out = np.empty((count, samples))
    else:
        order = np.asarray(wanted, np.intp)
        out = np.empty((len(order), samples))
    picked = groups[order]
    sizes = np.bincount(groups, minlength=16)
    for group in np.flatnonzero(sizes).tolist():
        planes = [] if group == CONSTANT else [parts.take() for _ in range(1 << (group >> 2))]
        rows = np.flatnonzero(picked == group)
        if len(rows) == 0:
            continue
        chosen = order[rows]
        if group == CONSTANT:
            out[rows] = firsts[chosen].view(np.float64)[:, None]
            continue
        at = None if wanted is None else np.searchsorted(np.flatnonzero(groups == group), chosen)
        group_planes = [
            np.frombuffer(decompress(plane), np.uint8).reshape(int(sizes[group]), samples) for plane in planes
        ]
        whole = len(rows) == len(order)
        rebuilt = out if whole else np.empty((len(rows), samples))
        _rebuild(rebuilt, group_planes, at, group, firsts[chosen], bases[chosen], exponents[chosen])
        if not whole:
            out[rows] = rebuilt
    if broken_count:
        _restore(out, decompress(aside), broken_count, samples, order)
    return out


class _Parts:
    """The frames of a matrix, in order."""

    def __init__(self, data: memoryview, offset: int, lengths: Sequence[int]) -> None:
        self._data = data
        self._offset = offset
        self._lengths = iter(lengths)

    def take(self) -> memoryview:
        length = next(self._lengths, None)
        if length is None or self._offset + length > len(self._data):
            raise CodecError("encoded samples: frames are missing")
        part = self._data[self._offset : self._offset + length]
        self._offset += length
        return part


# ---- decimals


def _decimal(values: Floats, series: Int64s) -> Iterator[tuple[int, Int64s, Int64s, Bools]]:
    """(exponent, series, mantissas, broken cells) for the series that are decimals.

    Whole numbers are tried outright, the other exponents on a few samples first.
    """
    part = values if len(series) == len(values) else values[series]
    mantissas, broken = _mantissas(part, 0)
    good = _mostly_whole(part, broken)
    if good.all():
        yield 0, series, mantissas, broken
        return
    if good.any():
        yield 0, series[good], mantissas[good], broken[good]
    left = series[~good]
    exponents = _likely_exponents(values[left])
    for exponent in np.unique(exponents[exponents > 0]).tolist():
        candidates = left[exponents == exponent]
        part = values[candidates]
        mantissas, broken = _mantissas(part, exponent)
        good = _mostly_whole(part, broken)
        if good.any():
            yield exponent, candidates[good], mantissas[good], broken[good]


def _mostly_whole(values: Floats, broken: Bools) -> Bools:
    """Series of which all but a few finite cells are decimals, and not too many cells are NaN or infinite."""
    if not broken.any():
        return np.ones(len(values), np.bool_)
    samples = values.shape[1]
    strange = ~np.isfinite(values)
    good: Bools = (broken & ~strange).sum(axis=1) <= samples // 32
    good &= strange.sum(axis=1) <= samples // 2 + 1
    return good


def _likely_exponents(values: Floats) -> Int64s:
    """The smallest exponent that fits a few samples of each series, 0 if none does."""
    samples = values.shape[1]
    probes = np.unique(np.linspace(0, samples - 1, min(_PROBES, samples)).astype(np.int64))
    probe = values[:, probes, None]
    _, broken = _mantissas(np.broadcast_to(probe, (*probe.shape[:2], len(_EXPONENTS))), _EXPONENTS)
    odd = ~np.isfinite(probe)
    fits = ((broken & ~odd).sum(axis=1) <= 1) & ~odd.all(axis=1)
    return np.where(fits.any(axis=1), _EXPONENTS[np.argmax(fits, axis=1)], 0)


def _mantissas(values: Floats, exponent: int | Int64s) -> tuple[Int64s, Bools]:
    """Mantissas as int64, and where the value is not exactly `mantissa / 10**exponent`."""
    whole = isinstance(exponent, int) and exponent == 0
    scale = np.power(10.0, exponent)
    with np.errstate(all="ignore"):
        scaled = np.rint(values) if whole else np.rint(values * scale)
        mantissas = scaled.astype(np.int64)
        # From the integer back, so that minus zero, NaN and what is too large count as broken.
        back = mantissas.astype(np.float64) if whole else mantissas / scale
        broken = (back.view(np.int64) != values.view(np.int64)) | (np.abs(scaled) >= _EXACT_MAX)
    return mantissas, broken


def _spread(broken: Bools, series: Int64s, count: int) -> Bools:
    """The flags of some series as flags of the whole matrix, flat."""
    whole = np.zeros((count, broken.shape[1]), np.bool_)
    whole[series] = broken
    return whole.reshape(-1)


def _fill(mantissas: Int64s, broken: Bools) -> None:
    """Give broken cells the mantissa before them (the first good one at the start), so that they cost nothing."""
    rows = np.flatnonzero(broken.any(axis=1))
    part, bad = mantissas[rows], broken[rows]
    place = np.where(bad, 0, np.arange(part.shape[1]))
    np.maximum.accumulate(place, axis=1, out=place)
    first_good = np.argmax(~bad, axis=1)
    place = np.maximum(place, first_good[:, None])
    mantissas[rows] = np.take_along_axis(part, place, axis=1)


def _plan_differences(
    mantissas: Int64s,
    series: Int64s,
    groups: Bytes,
    bases: Int64s,
    planes: dict[int, list[tuple[Int64s, npt.NDArray[np.generic]]]],
) -> None:
    """Choose first or second differences and a width for each series, and collect the zigzagged numbers."""
    samples = mantissas.shape[1]
    steps = np.diff(mantissas, axis=1)
    base = (mantissas[:, -1] - mantissas[:, 0]) // max(1, samples - 1)
    first = steps - base[:, None]
    classes = np.full(len(series), DELTA, np.uint8)
    if samples > 2:
        second = np.diff(steps, axis=1)
        better = np.abs(second).sum(axis=1, dtype=np.float64) * 2 < np.abs(first).sum(
            axis=1, dtype=np.float64
        )
        rows = np.flatnonzero(better)
        classes[rows] = SECOND
        base[rows] = steps[rows, 0]
        first[rows, 0] = 0
        first[rows, 1:] = second[rows]
    bases[series] = base
    zigzagged = ((first << 1) ^ (first >> 63)).view(np.uint64)
    largest = zigzagged.max(axis=1) if samples > 1 else np.zeros(len(series), np.uint64)
    codes = np.searchsorted(np.array([1 << 8, 1 << 16, 1 << 32], np.uint64), largest, side="right")
    chosen = classes + 4 * codes.astype(np.uint8)
    groups[series] = chosen
    for group in np.unique(chosen).tolist():
        rows = np.flatnonzero(chosen == group)
        numbers = np.zeros((len(rows), samples), _TYPES[group >> 2])
        numbers[:, 1:] = zigzagged[rows]
        planes.setdefault(group, []).append((series[rows], numbers))


# ---- planes


def _planes(
    parts: list[tuple[Int64s, npt.NDArray[np.generic]]],
    group: int,
    compressors: Sequence[zstandard.ZstdCompressor],
) -> list[bytes]:
    """The planes of one group, its series in ascending order."""
    series = np.concatenate([part[0] for part in parts])
    numbers = np.concatenate([part[1] for part in parts])[np.argsort(series)]
    width = _WIDTHS[group >> 2]
    raw = np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, width)
    return [_smallest(raw[:, plane].tobytes(), compressors) for plane in range(width)]


def _smallest(plane: bytes, compressors: Sequence[zstandard.ZstdCompressor]) -> bytes:
    """A frame by the compressor that does best: matches at all costs are worse than entropy for noise."""
    return min((compressor.compress(plane) for compressor in compressors), key=len)


def _joined(planes: Sequence[Bytes], picked: slice | npt.NDArray[np.intp]) -> npt.NDArray[np.generic]:
    """The numbers of some series of a group from its planes."""
    if len(planes) == 1:
        return planes[0][picked]
    parts = [plane[picked] for plane in planes]
    raw = np.empty((*parts[0].shape, len(planes)), np.uint8)
    for number, part in enumerate(parts):
        raw[:, :, number] = part
    return raw.view(_TYPES[len(planes).bit_length() - 1])[:, :, 0]


def _rebuild(
    out: Floats,
    planes: Sequence[Bytes],
    at: npt.NDArray[np.intp] | None,
    group: int,
    firsts: Int64s,
    bases: Int64s,
    exponents: Bytes,
) -> None:
    """Write the values of series of one group, a few series at a time."""
    step = max(1, _BLOCK_SAMPLES // out.shape[1])
    for begin in range(0, len(out), step):
        part = slice(begin, begin + step)
        numbers = _joined(planes, part if at is None else at[part])
        if group & 3 == XOR:
            crossed: UInt64s = numbers.astype(np.uint64)
            crossed[:, 0] = firsts[part].view(np.uint64)
            np.bitwise_xor.accumulate(crossed, axis=1, out=out[part].view(np.uint64))
        else:
            _sum_up(out[part], numbers, group, firsts[part], bases[part], exponents[part])


def _sum_up(
    out: Floats,
    numbers: npt.NDArray[np.generic],
    group: int,
    firsts: Int64s,
    bases: Int64s,
    exponents: Bytes,
) -> None:
    """The values of decimal series from their differences."""
    one = numbers.dtype.type(1)
    signed = ((numbers >> one) ^ (~(numbers & one) + one)).view(_SIGNED[group >> 2])  # type: ignore[operator]
    mantissas: Int64s = np.cumsum(signed, axis=1, dtype=np.int64)
    if group & 3 == SECOND:
        mantissas += bases[:, None]
        mantissas[:, 0] = firsts
        np.cumsum(mantissas, axis=1, out=mantissas)
    elif bases.any():
        mantissas += firsts[:, None] + bases[:, None] * np.arange(mantissas.shape[1])
    else:
        mantissas += firsts[:, None]
    if exponents.any():
        np.divide(mantissas, np.power(10.0, exponents)[:, None], out=out)
    else:
        out[...] = mantissas


def _restore(out: Floats, data: bytes, count: int, samples: int, order: npt.NDArray[np.intp]) -> None:
    """Put the exceptions back."""
    at = np.cumsum(np.frombuffer(data, "<u4", count).astype(np.int64))
    bits = np.frombuffer(data, "<i8", count, 4 * count)
    series, sample = np.divmod(at, samples)
    starts = np.searchsorted(series, order)
    counts = np.searchsorted(series, order, side="right") - starts
    picked = ragged_positions(starts, counts)
    out.view(np.int64)[np.repeat(np.arange(len(order)), counts), sample[picked]] = bits[picked]


def _planar(numbers: Int64s) -> bytes:
    """Integers as eight byte planes."""
    return np.ascontiguousarray(numbers.astype("<i8").view(np.uint8).reshape(-1, 8).T).tobytes()


def _unplanar(planes: Bytes, count: int) -> Int64s:
    """The inverse of `_planar`."""
    return np.ascontiguousarray(planes.reshape(8, count).T).reshape(-1).view("<i8").astype(np.int64)
