"""How the series of a matrix are encoded, found by a loop in C; `matrix.py` has the classes and the same in numpy."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from trimon.compiled.library import ADDRESS, INT64, function
from trimon.storage.codec.planes import Bytes, frame_count, row_bytes
from trimon.storage.head.arena import Floats, Int64s

_plan = function("trimon_matrix_plan", INT64, (ADDRESS, INT64, INT64, ADDRESS, INT64, *[ADDRESS] * 7))
_plane = function(
    "trimon_matrix_plane", INT64, (ADDRESS, INT64, INT64, ADDRESS, INT64, INT64, INT64, ADDRESS)
)
# Samples of a series by which its exponent is guessed.
_PROBES: Final = 16


class Plan(NamedTuple):
    """What is stored of a matrix: of each series group, exponent, first value and base; the planes of all groups in ascending
    order; the places of exceptions, ascending."""

    groups: Bytes
    exponents: Bytes
    firsts: Int64s
    bases: Int64s
    planes: list[bytes]
    broken_at: Int64s


def probes_of(samples: int) -> Int64s:
    """The samples by which exponents are guessed."""
    return np.unique(np.linspace(0, samples - 1, min(_PROBES, samples)).astype(np.int64))


def planned(values: Floats) -> Plan | None:
    """The plan of a matrix `values[series, samples]`, which is contiguous; None where numpy is to make it."""
    if _plan is None or _plane is None:
        return None
    count, samples = values.shape
    probes, scratch = probes_of(samples), np.empty(samples, np.int64)
    groups, exponents = np.empty(count, np.uint8), np.empty(count, np.uint8)
    firsts, bases = np.empty(count, np.int64), np.empty(count, np.int64)
    numbers, broken = np.empty((count, samples), np.uint64), np.empty((count, samples), np.uint8)
    exceptions = _plan(
        values.ctypes.data,
        count,
        samples,
        probes.ctypes.data,
        len(probes),
        *(each.ctypes.data for each in (scratch, groups, exponents, firsts, bases, numbers, broken)),
    )
    if exceptions < 0:
        return None
    planes: list[bytes] = []
    for group in np.flatnonzero(np.bincount(groups)).tolist():
        if group == 0:
            continue
        code, rows = group >> 2, np.flatnonzero(groups == group)
        out = np.empty(len(rows) * row_bytes(code, samples), np.uint8)
        told = (numbers.ctypes.data, count, samples, rows.ctypes.data, len(rows), code)
        for plane in range(frame_count(code)):
            _plane(*told, plane, out.ctypes.data)
            planes.append(out.tobytes())
    places = np.flatnonzero(broken.reshape(-1)) if exceptions else np.zeros(0, np.int64)
    return Plan(groups, exponents, firsts, bases, planes, places)
