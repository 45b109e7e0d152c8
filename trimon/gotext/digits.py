"""How Go's formatted printing writes single numbers and characters under flags, width and precision."""

from __future__ import annotations

import math
from typing import Final

from trimon.gotext.floats import format_g, format_plain
from trimon.gotext.strings import go_quote_rune
from trimon.gotext.values import text_bytes
from trimon.records import dataclass

_RUNE_MAX: Final = 0x10FFFF
_REPLACEMENT: Final = "\ufffd"
_BASES: Final = {"b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES: Final = {"b": "0b", "x": "0x", "X": "0X"}


@dataclass(slots=True)
class Flags:
    """The flags of one verb; `sharp_v` and `plus_v` stand for `%#v` and `%+v`."""

    plus: bool = False
    minus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    sharp_v: bool = False
    plus_v: bool = False
    width: int | None = None
    precision: int | None = None

    def set(self, character: str) -> None:
        """Sets the flag of a character of `#0+- `."""
        match character:
            case "#":
                self.sharp = True
            case "0":
                self.zero = True
            case "+":
                self.plus = True
            case "-":
                self.minus = True
            case _:
                self.space = True


def pad(text: str, flags: Flags, *, zero: bool | None = None) -> str:
    """The text, filled up to the width."""
    if not flags.width:
        return text
    if flags.minus:
        return text.ljust(flags.width)
    return text.rjust(flags.width, "0" if (flags.zero if zero is None else zero) else " ")


def integer_text(number: int, verb: str, flags: Flags) -> str:
    """An integer in the base of its verb."""
    precision = 0
    if flags.precision is not None:
        precision = flags.precision
        if precision == 0 and number == 0:
            return " " * (flags.width or 0)
    elif flags.zero and not flags.minus and flags.width is not None:
        precision = flags.width - (number < 0 or flags.plus or flags.space)
    digits = format(abs(number), _BASES.get(verb, "d")).rjust(precision, "0")
    if flags.sharp:
        if verb in ("o", "O"):
            digits = digits if digits.startswith("0") else "0" + digits
        else:
            digits = _PREFIXES.get(verb, "") + digits
    if verb == "O":
        digits = "0o" + digits
    return pad(_sign(number < 0, flags) + digits, flags, zero=False)


def _sign(negative: bool, flags: Flags) -> str:
    if negative:
        return "-"
    return "+" if flags.plus else " " if flags.space else ""


def float_text(number: float, verb: str, flags: Flags) -> str:
    """A float by its verb."""
    if math.isnan(number):
        return pad(f"{_sign(False, flags)}NaN", flags, zero=False)
    if math.isinf(number):
        lead = "-" if number < 0 else " " if flags.space and not flags.plus else "+"
        return pad(f"{lead}Inf", flags, zero=False)
    sign = _sign(math.copysign(1.0, number) < 0, flags)
    precision = flags.precision if flags.precision is not None else 6 if verb in "feEF" else -1
    body = _digits(abs(number), verb, precision)
    if flags.sharp and verb != "b":
        body = _with_point(body, verb, precision)
    if sign and flags.zero and not flags.minus and flags.width:
        return sign + body.rjust(flags.width - 1, "0")
    return pad(sign + body, flags)


def _digits(number: float, verb: str, precision: int) -> str:
    """The digits of a number that is not negative; precision -1 asks for the shortest that read back."""
    match verb:
        case "f" | "F":
            return f"{number:.{precision}f}" if precision >= 0 else format_plain(number)
        case "e" | "E":
            return format(number, f".{precision}{verb}")
        case "b":
            return _binary(number)
        case "x" | "X":
            text = _hexadecimal(number, precision)
            return text.upper() if verb == "X" else text
        case _:
            text = format_g(number) if precision < 0 else f"{number:.{precision}g}"
            return text.upper() if verb == "G" else text


def _binary(number: float) -> str:
    mantissa, exponent = math.frexp(number)
    if number == 0:
        return "0p-1074"
    power = max(exponent - 53, -1074)
    whole = int(math.ldexp(mantissa, exponent - power))
    return f"{whole}p{power:+d}"


def _hexadecimal(number: float, precision: int) -> str:
    """`0x1.54p+05`; a precision counts digits after the point."""
    if number == 0:
        tail = "." + "0" * precision if precision > 0 else ""
        return f"0x0{tail}p+00"
    mantissa, exponent = math.frexp(number)
    bits = int(math.ldexp(mantissa, 53))
    exponent -= 1
    if 0 <= precision < 13:
        dropped = 52 - 4 * precision
        low, bits = bits & ((1 << dropped) - 1), bits >> dropped
        half = 1 << (dropped - 1)
        bits += low > half or (low == half and bits & 1)
        bits <<= dropped
        if bits >> 53:
            bits >>= 1
            exponent += 1
    fraction = f"{bits & ((1 << 52) - 1):013x}"
    fraction = fraction.rstrip("0") if precision < 0 else fraction[:precision].ljust(precision, "0")
    sign = "-" if exponent < 0 else "+"
    return f"0x1{'.' if fraction else ''}{fraction}p{sign}{abs(exponent):02d}"


def _with_point(body: str, verb: str, precision: int) -> str:
    """The `#` flag: a point always, and for `%g` the zeros that the precision asks for."""
    marks = "pP" if verb in "xX" else "eE"
    at = next((position for position, character in enumerate(body) if character in marks), len(body))
    number, tail = body[:at], body[at:]
    wanted = (6 if precision == -1 else precision) if verb in "vgGx" else 0
    digits = number.replace(".", "")
    if verb == "x":
        digits = digits.replace("x", "1", 1)
    significant = len(digits.lstrip("0"))
    wanted -= significant
    if "." not in number:
        if number == "0":
            wanted -= 1
        number += "."
    return number + "0" * max(wanted, 0) + tail


def rune(code: int) -> str:
    """The character of a code; what is none is the replacement character."""
    return _REPLACEMENT if code > _RUNE_MAX or 0xD800 <= code < 0xE000 else chr(code)


def quoted_rune(code: int, ascii_only: bool) -> str:
    """A character between single quotes."""
    return go_quote_rune(rune(code), ascii_only=ascii_only)


def unicode_text(code: int, flags: Flags) -> str:
    """`U+0078`, with the `#` flag the character too."""
    digits = f"{code:X}".rjust(max(flags.precision or 0, 4), "0")
    shown = f" '{chr(code)}'" if flags.sharp and code <= _RUNE_MAX and chr(code).isprintable() else ""
    return f"U+{digits}{shown}"


def text_hexadecimal(text: str, upper: bool, flags: Flags) -> str:
    """The bytes of a text in hexadecimal digits."""
    data = text_bytes(text)
    if flags.precision is not None:
        data = data[: flags.precision]
    digits = [f"{byte:02X}" if upper else f"{byte:02x}" for byte in data]
    prefix = ("0X" if upper else "0x") if flags.sharp and data else ""
    if flags.space:
        return " ".join(prefix + pair for pair in digits)
    return prefix + "".join(digits)
