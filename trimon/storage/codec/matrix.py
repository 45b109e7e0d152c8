"""A matrix of samples, a row per series, as bytes: bit-exact for every float64.

Every series gets a class. CONSTANT: one value. DELTA: values are `mantissa / 10**exponent` or `mantissa * 2**shift`; stored are
the differences of the mantissas less their mean, or less the smallest where all then fit in 4 bits. SECOND: the
differences of these. XOR: the bits XORed with those before. Series of one class and width, from 1 bit to 8
bytes, are stored together, each of their planes a zstd frame. What breaks the pattern of a decimal series (NaN,
infinities, -0, ABSENT) is stored aside as an exception. The byte layout is in docs/storage-format.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import zstandard

from trimon.errors import OperatingError
from trimon.storage.codec.plan import Plan, planned, probes_of
from trimon.storage.codec.planes import (
    EIGHT_BYTES,
    Bytes,
    Unsigned,
    frame_count,
    is_narrow,
    is_narrow_code,
    joined,
    number_type,
    pack,
    planar,
    row_bytes,
    unplanar,
    unzigzagged,
    width_codes,
    zigzagged,
)
from trimon.storage.head.arena import Bools, Floats, Int64s, UInt64s, ragged_positions

CONSTANT: Final = 0
DELTA: Final = 1
SECOND: Final = 2
XOR: Final = 3
# A class and the code of a width make a group: class + 4 * code.
_CROSSED: Final = XOR + 4 * EIGHT_BYTES

_EXPONENTS: Final = np.array([1, 2, 3, 4, 6, 9, 12, 15])
# An exponent from here on says by how many bits whole numbers are shifted to the right.
_SHIFTED: Final = 128
_DIVISORS: Final = np.concatenate((10.0 ** np.arange(_SHIFTED), 0.5 ** np.arange(256 - _SHIFTED)))
_EXACT_MAX: Final = float(1 << 53)
_HEAD: Final = struct.Struct("<IIII")
# Series are rebuilt so many samples at a time: their numbers stay in the processor's cache, and below the 128 KiB
# from which on an allocator asks the kernel for fresh pages.
_BLOCK_SAMPLES: Final = 12_000

# Levels: in memory and for the first block speed counts, for merged blocks size does.
LEVEL_FAST: Final = 1
LEVEL_SMALL: Final = 9

_Planes = dict[int, list[tuple[Int64s, Unsigned]]]


class CodecError(OperatingError):
    """Bytes that are no encoded matrix."""


def encode(values: Floats, level: int = LEVEL_FAST) -> bytes:
    """The bytes of a matrix `values[series, samples]`."""
    count, samples = values.shape
    compressors = [zstandard.ZstdCompressor(level=each) for each in {LEVEL_FAST, level}]
    compressor = compressors[-1]
    if count == 0 or samples == 0:
        return _HEAD.pack(count, samples, 0, 0)
    values = np.ascontiguousarray(values, np.float64)
    bits = values.view(np.int64)
    plan = planned(values) or planned_plainly(values)
    frames = [_smallest(plane, compressors) for plane in plan.planes]
    broken_at = plan.broken_at
    aside = np.diff(broken_at, prepend=0).astype("<u4").tobytes() + bits.reshape(-1)[broken_at].tobytes()
    columns = plan.groups.tobytes() + plan.exponents.tobytes() + planar(plan.firsts) + planar(plan.bases)
    parts = [compressor.compress(columns), compressor.compress(aside) if len(broken_at) else b"", *frames]
    lengths = np.array([len(part) for part in parts], "<u4").tobytes()
    return b"".join((_HEAD.pack(count, samples, len(broken_at), len(parts)), lengths, *parts))


def planned_plainly(values: Floats) -> Plan:
    """As `planned`."""
    count = len(values)
    bits = values.view(np.int64)
    groups = np.full(count, _CROSSED, np.uint8)
    exponents = np.zeros(count, np.uint8)
    firsts = bits[:, 0].copy()
    bases = np.zeros(count, np.int64)
    frames: list[bytes] = []
    exceptions: list[Int64s] = []
    constant = (bits == bits[:, :1]).all(axis=1)
    groups[constant] = CONSTANT
    varying = np.flatnonzero(~constant)
    planes: _Planes = {}
    for exponent, series, mantissas, broken in _decimal(values, varying) if len(varying) else ():
        if broken.any():
            exceptions.append(np.flatnonzero(_spread(broken, series, count)))
            _fill(mantissas, broken)
        exponents[series] = exponent
        if exponent == 0:
            shifts = _common_zeros(mantissas)
            if shifts.any():
                mantissas >>= shifts[:, None]
                exponents[series] = np.where(shifts > 0, _SHIFTED + shifts, 0)
        firsts[series] = mantissas[:, 0]
        _plan_differences(mantissas, series, groups, bases, planes)
    rest = np.flatnonzero(groups == _CROSSED)
    if len(rest):
        crossed = bits[rest]
        crossed[:, 1:] ^= bits[rest, :-1]
        crossed[:, 0] = 0
        planes.setdefault(_CROSSED, []).append((rest, crossed.view(np.uint64)))
    for group in sorted(planes):
        numbers = np.concatenate([part[1] for part in planes[group]])
        numbers = numbers[np.argsort(np.concatenate([part[0] for part in planes[group]]))]
        frames.extend(pack(numbers, group >> 2))
    broken_at = np.sort(np.concatenate(exceptions)) if exceptions else np.zeros(0, np.int64)
    return Plan(groups, exponents, firsts, bases, frames, broken_at)


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
    firsts = unplanar(columns[2 * count : 10 * count], count)
    bases = unplanar(columns[10 * count : 18 * count], count)
    if wanted is None:
        order = np.arange(count)
        out = np.empty((count, samples))
    else:
        order = np.asarray(wanted, np.intp)
        out = np.empty((len(order), samples))
    picked = groups[order]
    sizes = np.bincount(groups, minlength=16)
    for group in np.flatnonzero(sizes).tolist():
        planes = [] if group == CONSTANT else [parts.take() for _ in range(frame_count(group >> 2))]
        rows = np.flatnonzero(picked == group)
        if len(rows) == 0:
            continue
        chosen = order[rows]
        if group == CONSTANT:
            out[rows] = firsts[chosen].view(np.float64)[:, None]
            continue
        at = None if wanted is None else np.searchsorted(np.flatnonzero(groups == group), chosen)
        group_planes = [
            np.frombuffer(decompress(plane), np.uint8).reshape(
                int(sizes[group]), row_bytes(group >> 2, samples)
            )
            for plane in planes
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
    probe = values[:, probes_of(samples), None]
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


def _common_zeros(mantissas: Int64s) -> Int64s:
    """How many lowest bits are 0 in all mantissas of each series: sizes of memory come in pages."""
    used = np.bitwise_or.reduce(mantissas, axis=1)
    lowest = used & -used
    return np.where(lowest > 0, np.log2(np.maximum(lowest, 1)), 0).astype(np.int64)


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
    mantissas: Int64s, series: Int64s, groups: Bytes, bases: Int64s, planes: _Planes
) -> None:
    """Choose first or second differences and a width for each series, and collect the numbers, a few series at a time."""
    samples = mantissas.shape[1]
    step = max(1, _BLOCK_SAMPLES // samples)
    for begin in range(0, len(series), step):
        part, own = mantissas[begin : begin + step], series[begin : begin + step]
        if samples == 1:
            _collect(np.zeros((len(own), 0), np.uint64), DELTA, own, groups, planes)
            continue
        steps = np.diff(part, axis=1)
        second = np.diff(steps, axis=1)
        mean = (part[:, -1] - part[:, 0]) // (samples - 1)
        first = steps - mean[:, None]
        lowest = steps.min(axis=1)
        narrow = is_narrow(steps.max(axis=1) - lowest)
        curved = np.abs(second).sum(axis=1, dtype=np.float64) * 2 < np.abs(first).sum(
            axis=1, dtype=np.float64
        )
        bases[own] = np.where(curved, steps[:, 0], np.where(narrow, lowest, mean))
        if (rows := np.flatnonzero(curved)).size:
            numbers = np.zeros((len(rows), samples - 1), np.uint64)
            numbers[:, 1:] = zigzagged(second[rows])
            _collect(numbers, SECOND, own[rows], groups, planes)
        if (rows := np.flatnonzero(narrow & ~curved)).size:
            numbers = (steps[rows] - lowest[rows, None]).view(np.uint64)
            _collect(numbers, DELTA, own[rows], groups, planes)
        if (rows := np.flatnonzero(~narrow & ~curved)).size:
            _collect(zigzagged(first[rows]), DELTA, own[rows], groups, planes)


def _collect(numbers: UInt64s, kind: int, series: Int64s, groups: Bytes, planes: _Planes) -> None:
    """Add numbers of series of one class, all but the first of each, to those of their widths."""
    largest = numbers.max(axis=1) if numbers.shape[1] else np.zeros(len(series), np.uint64)
    codes = width_codes(largest)
    groups[series] = kind + 4 * codes
    for code in np.unique(codes).tolist():
        rows = np.flatnonzero(codes == code)
        narrowed = np.zeros((len(rows), numbers.shape[1] + 1), number_type(code))
        narrowed[:, 1:] = numbers if len(rows) == len(numbers) else numbers[rows]
        planes.setdefault(kind + 4 * code, []).append((series[rows], narrowed))


def _smallest(plane: bytes, compressors: Sequence[zstandard.ZstdCompressor]) -> bytes:
    """A frame by the compressor that does best: matches at all costs are worse than entropy for noise."""
    return min((compressor.compress(plane) for compressor in compressors), key=len)


# ---- rebuilding


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
        numbers = joined(planes, part if at is None else at[part], group >> 2, out.shape[1])
        if group & 3 == XOR:
            crossed: UInt64s = numbers.astype(np.uint64)
            crossed[:, 0] = firsts[part].view(np.uint64)
            np.bitwise_xor.accumulate(crossed, axis=1, out=out[part].view(np.uint64))
        else:
            _sum_up(out[part], numbers, group, firsts[part], bases[part], exponents[part])


def _sum_up(
    out: Floats,
    numbers: Unsigned,
    group: int,
    firsts: Int64s,
    bases: Int64s,
    exponents: Bytes,
) -> None:
    """The values of decimal series from their differences."""
    # What fits in less than a byte after the smallest has been taken off has no sign.
    unsigned = group & 3 == DELTA and is_narrow_code(group >> 2)
    steps = numbers if unsigned else unzigzagged(numbers)
    mantissas: Int64s = np.cumsum(steps, axis=1, dtype=np.int64)
    if group & 3 == SECOND:
        mantissas += bases[:, None]
        mantissas[:, 0] = firsts
        np.cumsum(mantissas, axis=1, out=mantissas)
    elif bases.any():
        mantissas += firsts[:, None] + bases[:, None] * np.arange(mantissas.shape[1])
    else:
        mantissas += firsts[:, None]
    if exponents.any():
        np.divide(mantissas, _DIVISORS[exponents][:, None], out=out)
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
