"""The verbs of a format: flags, widths, precisions, and the arguments they take by turn or by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from trimon.gotext.digits import Flags
from trimon.gotext.values import GoKind, Value, inside, raw, type_of

# Widths, precisions and argument numbers beyond this are not taken.
NUMBER_MAX: Final = 1_000_000


class Printer(Protocol):
    """Collects text, and shows arguments under the flags of the verb at hand."""

    flags: Flags

    def write(self, text: str) -> None:
        """Adds a text as it is."""
        ...

    def argument(self, value: Value, verb: str) -> None:
        """Adds an argument by a verb."""
        ...


class Verbs:
    """Walks through a format: text, and verbs with the arguments they take."""

    def __init__(self, printer: Printer, template: str, values: Sequence[Value]) -> None:
        self._printer = printer
        self._template = template
        self._values = values
        self._at = 0
        self._argument = 0
        self._reordered = False
        self._good_number = True
        self._after_number = False

    def run(self) -> None:
        """Prints the whole format."""
        template, printer = self._template, self._printer
        while self._at < len(template):
            percent = template.find("%", self._at)
            end = percent if percent >= 0 else len(template)
            if end > self._at:
                printer.write(template[self._at : end])
            if percent < 0:
                break
            self._at = percent + 1
            printer.flags = Flags()
            if not self._verb():
                printer.write("%!(NOVERB)")
                break
        if not self._reordered and self._argument < len(self._values):
            self._extra()

    def _peek(self) -> str:
        return self._template[self._at : self._at + 1]

    def _verb(self) -> bool:
        """One verb with its flags; False when the format ends before it."""
        self._good_number, self._after_number = True, False
        flags, template = self._printer.flags, self._template
        while self._peek() and self._peek() in "#0+- ":
            flags.set(self._peek())
            self._at += 1
        self._number()
        self._width(flags)
        if self._at + 1 < len(template) and self._peek() == ".":
            self._at += 1
            self._precision(flags)
        if not self._after_number:
            self._number()
        if self._at >= len(template):
            return False
        verb = self._peek()
        self._at += 1
        self._show(verb, flags)
        return True

    def _show(self, verb: str, flags: Flags) -> None:
        printer = self._printer
        if verb == "%":
            printer.write("%")
        elif not self._good_number:
            printer.write(f"%!{verb}(BADINDEX)")
        elif self._argument >= len(self._values):
            printer.write(f"%!{verb}(MISSING)")
        else:
            if verb in "vw":
                flags.sharp_v, flags.sharp = flags.sharp, False
                flags.plus_v, flags.plus = flags.plus, False
            printer.argument(self._values[self._argument], verb)
            self._argument += 1

    def _width(self, flags: Flags) -> None:
        if self._peek() == "*":
            self._at += 1
            flags.width = self._from_argument()
            if flags.width is None:
                self._printer.write("%!(BADWIDTH)")
            elif flags.width < 0:
                flags.width, flags.minus, flags.zero = -flags.width, True, False
            self._after_number = False
            return
        flags.width = self._digits(len(self._template))
        if self._after_number and flags.width is not None:
            self._good_number = False

    def _precision(self, flags: Flags) -> None:
        if self._after_number:
            self._good_number = False
        self._number()
        if self._peek() == "*":
            self._at += 1
            flags.precision = self._from_argument()
            if flags.precision is not None and flags.precision < 0:
                flags.precision = None
            if flags.precision is None:
                self._printer.write("%!(BADPREC)")
            self._after_number = False
            return
        flags.precision = self._digits(len(self._template)) or 0

    def _digits(self, end: int) -> int | None:
        """A number in decimal; one that is far too large ends the format, as in Go."""
        number: int | None = None
        while self._at < end and "0" <= self._template[self._at] <= "9":
            if number is not None and number > NUMBER_MAX:
                self._at = end
                return None
            number = (number or 0) * 10 + int(self._template[self._at])
            self._at += 1
        return number

    def _from_argument(self) -> int | None:
        """A width or precision from the arguments."""
        if self._argument >= len(self._values):
            return None
        value = inside(self._values[self._argument])
        self._argument += 1
        if value is None or type_of(value).kind not in (GoKind.INT, GoKind.UINT):
            return None
        number: int = raw(value)
        return number if abs(number) <= NUMBER_MAX else None

    def _number(self) -> None:
        """An argument's number in brackets, if there is one here."""
        if self._peek() != "[":
            self._after_number = False
            return
        self._reordered = True
        close = self._template.find("]", self._at + 1)
        if close < 0 or len(self._template) - self._at < 3:
            self._at += 1
            self._good_number = self._after_number = False
            return
        inner = self._template[self._at + 1 : close]
        self._at = close + 1
        ok = inner.isascii() and inner.isdigit() and len(inner) <= 8
        number = int(inner) - 1 if ok else -1
        ok = ok and number < NUMBER_MAX
        if ok and 0 <= number < len(self._values):
            self._argument = number
            self._after_number = True
        else:
            self._good_number = False
            self._after_number = ok

    def _extra(self) -> None:
        printer = self._printer
        printer.flags = Flags()
        printer.write("%!(EXTRA ")
        for position, value in enumerate(self._values[self._argument :]):
            if position:
                printer.write(", ")
            value = inside(value)
            if value is None:
                printer.write("<nil>")
            else:
                printer.write(f"{type_of(value).name}=")
                printer.argument(value, "v")
        printer.write(")")
