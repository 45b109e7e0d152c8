"""XOR2 chunks written bit by bit as the format says, for the decoder to be compared with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trimon.model.sample import STALE_NAN


def bits(values: npt.ArrayLike) -> list[int]:
    return np.asarray(values, np.float64).view(np.uint64).tolist()  # type: ignore[no-any-return] # numpy's tolist is Any


def varint(value: int) -> bytes:
    rest = (value << 1 ^ value >> 63) & 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


class _Bits:
    """XOR2 as the format says it, one sample after the other, without start timestamps."""

    def __init__(self) -> None:
        self.bits = ""
        self.window: tuple[int, int] | None = None

    def put(self, value: int, width: int) -> None:
        self.bits += format(value & (1 << width) - 1, f"0{width}b") if width else ""

    def changed(self, crossed: int, reuse: str, fresh: str) -> None:
        leading = min(64 - crossed.bit_length(), 31)
        trailing = (crossed & -crossed).bit_length() - 1
        if self.window is not None and leading >= self.window[0] and trailing >= self.window[1]:
            self.bits += reuse
            leading, trailing = self.window
        else:
            self.window = leading, trailing
            self.bits += fresh
            self.put(leading, 5)
            self.put(64 - leading - trailing, 6)
        self.put(crossed >> trailing, 64 - leading - trailing)

    def value(self, value: int, base: int) -> None:
        if value == STALE_BITS:
            self.bits += "111"
        elif value == base:
            self.bits += "0"
        else:
            self.changed(value ^ base, "10", "110")


STALE_BITS = bits([STALE_NAN])[0]


def encoded(samples: list[tuple[int, int]]) -> bytes:
    """The bytes of a chunk."""
    out = _Bits()
    base = step = before_ms = 0
    for place, (time_ms, value) in enumerate(samples):
        change = time_ms - before_ms - step
        if place == 0:
            out.bits = format(int.from_bytes(varint(time_ms), "big"), f"0{8 * len(varint(time_ms))}b")
            out.put(value, 64)
        elif place == 1:
            step = time_ms - before_ms
            low = bytes([*(step >> 7 * i & 0x7F | 0x80 for i in range(9)), 0])
            out.bits += format(int.from_bytes(low, "big"), "080b")
            out.value(value, base)
        elif change == 0 and value == STALE_BITS:
            out.bits += "11111"
        elif change == 0 and value == base:
            out.bits += "0"
        elif change == 0:
            out.bits += "10"
            out.changed(value ^ base, "0", "1")
        else:
            for prefix, width in (("110", 13), ("1110", 20), ("11110", 64)):
                if -(1 << width - 1) <= change < 1 << width - 1:
                    out.bits += prefix
                    out.put(change, width)
                    break
            out.value(value, base)
        step = time_ms - before_ms if place else 0
        before_ms = time_ms
        base = base if value == STALE_BITS else value
    padded = out.bits + "0" * (-len(out.bits) % 8)
    return (
        len(samples).to_bytes(2, "big")
        + b"\0"
        + bytes(int(padded[i : i + 8], 2) for i in range(0, len(padded), 8))
    )
