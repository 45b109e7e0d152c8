"""Go's Sprint, Sprintln and Sprintf over Go's values: verbs, flags, widths, and what a wrong verb prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Final

from trimon.errors import UserError
from trimon.gotext.digits import (
    Flags,
    float_text,
    integer_text,
    pad,
    quoted_rune,
    rune,
    text_hexadecimal,
    unicode_text,
)
from trimon.gotext.strings import can_backquote, go_quote
from trimon.gotext.values import (
    GoKind,
    Interface,
    Pointer,
    Slice,
    Struct,
    Table,
    Value,
    inside,
    raw,
    type_of,
)
from trimon.gotext.verbs import Verbs
from trimon.records import dataclass

# How deep values are shown; nothing that is made of labels and samples is deeper than six.
DEPTH_MAX: Final = 20
_ADDRESS: Final = 0xC000010000
_STRINGABLE: Final = frozenset("vsxXq")


def sprint(values: Sequence[Value], bytes_max: int) -> str:
    """The values one after the other; a blank between two that are not strings."""
    printer = _Printer(bytes_max)
    before_is_text = False
    for position, value in enumerate(values):
        is_text = value is not None and type_of(value).kind is GoKind.STRING
        if position and not is_text and not before_is_text:
            printer.write(" ")
        printer.argument(value, "v")
        before_is_text = is_text
    return printer.text()


def sprintln(values: Sequence[Value], bytes_max: int) -> str:
    """The values with blanks between them and a newline at the end."""
    printer = _Printer(bytes_max)
    for position, value in enumerate(values):
        if position:
            printer.write(" ")
        printer.argument(value, "v")
    printer.write("\n")
    return printer.text()


def sprintf(template: str, values: Sequence[Value], bytes_max: int) -> str:
    """The template with its verbs replaced. Raises UserError when the result is longer than `bytes_max`."""
    printer = _Printer(bytes_max)
    Verbs(printer, template, values).run()
    return printer.text()


def default_text(value: Value, bytes_max: int) -> str:
    """A value as `%v` shows it."""
    return sprint((value,), bytes_max)


@dataclass(slots=True)
class _Printer:
    """Collects the text of values under the flags of one verb."""

    left: int
    flags: Flags = field(default_factory=Flags)
    erroring: bool = False
    _parts: list[str] = field(default_factory=list)

    def text(self) -> str:
        return "".join(self._parts)

    def write(self, text: str) -> None:
        self.left -= len(text)
        if self.left < 0:
            raise UserError("formatted text is too long")
        self._parts.append(text)

    def padded(self, text: str, *, zero: bool | None = None) -> None:
        if self.flags.width is not None and self.flags.width > self.left:
            raise UserError("formatted text is too long")
        self.write(pad(text, self.flags, zero=zero))

    def argument(self, value: Value, verb: str) -> None:
        """An argument as it was given: `interface {}` around it is forgotten."""
        value = inside(value)
        if value is None:
            if verb in "Tv":
                self.padded("<nil>")
            else:
                self.write(f"%!{verb}(<nil>)")
            return
        if verb == "T":
            self.string(type_of(value).name, "s")
        elif verb == "p":
            self.pointer(value, "p")
        elif not self.by_method(value, verb):
            self.value(value, verb, 0)

    def by_method(self, value: Value, verb: str) -> bool:
        """Shows a value by its String method, if it has one and the verb takes text."""
        if self.erroring:
            return False
        if verb == "w":
            self.bad_verb(value, verb)
            return True
        of = type_of(value)
        shown = of.literal if self.flags.sharp_v else of.shown if verb in _STRINGABLE else None
        if shown is None:
            return False
        if isinstance(value, Pointer):
            if value.target is None:
                self.write("<nil>")
                return True
            value = value.target
        text = shown(value.payload if isinstance(value, Struct) else raw(value))
        self.string(text, "s" if self.flags.sharp_v else verb)
        return True

    def bad_verb(self, value: Value, verb: str) -> None:
        self.erroring = True
        self.write(f"%!{verb}({type_of(value).name}=")
        self.value(value, "v", 0)
        self.write(")")
        self.erroring = False

    def value(self, value: Value, verb: str, depth: int) -> None:
        """A value by what it is made of."""
        if depth > DEPTH_MAX:
            raise UserError(f"value is nested more than {DEPTH_MAX} deep")
        if depth and value is not None and not isinstance(value, Interface) and self.by_method(value, verb):
            return
        if value is None or isinstance(value, Interface):
            self.interface(value, verb, depth)
        elif isinstance(value, Table):
            self.table(value, verb, depth)
        elif isinstance(value, Struct):
            self.struct(value, verb, depth)
        elif isinstance(value, Slice):
            self.slice(value, verb, depth)
        elif isinstance(value, Pointer):
            if depth == 0 and isinstance(value.target, Table | Slice | Struct):
                self.write("&")
                self.value(value.target, verb, 1)
            else:
                self.pointer(value, verb)
        else:
            _BASIC[type_of(value).kind](self, value, verb)

    def interface(self, value: Value, verb: str, depth: int) -> None:
        held = inside(value)
        if held is not None:
            self.value(held, verb, depth + 1)
        elif self.flags.sharp_v:
            self.write("interface {}(nil)")
        else:
            self.write("<nil>")

    def table(self, value: Table, verb: str, depth: int) -> None:
        sharp = self.flags.sharp_v
        self.write(f"{value.type.name}{{" if sharp else "map[")
        for position, key in enumerate(sorted(value.entries)):
            if position:
                self.write(", " if sharp else " ")
            self.value(key, verb, depth + 1)
            self.write(":")
            self.value(value.entries[key], verb, depth + 1)
        self.write("}" if sharp else "]")

    def struct(self, value: Struct, verb: str, depth: int) -> None:
        sharp = self.flags.sharp_v
        self.write(f"{value.type.name}{{" if sharp else "{")
        named = sharp or self.flags.plus_v
        for position, (name, item) in enumerate(zip(value.type.fields, value.values, strict=True)):
            if position:
                self.write(", " if sharp else " ")
            if named:
                self.write(f"{name[0]}:")
            held = item if isinstance(item, Interface) and item.value is None else inside(item)
            self.value(held, verb, depth + 1)
        self.write("}")

    def slice(self, value: Slice, verb: str, depth: int) -> None:
        sharp = self.flags.sharp_v
        if sharp and value.nil:
            self.write(f"{value.type.name}(nil)")
            return
        self.write(f"{value.type.name}{{" if sharp else "[")
        for position, item in enumerate(value.items):
            if position:
                self.write(", " if sharp else " ")
            self.value(item, verb, depth + 1)
        self.write("}" if sharp else "]")

    def pointer(self, value: Value, verb: str) -> None:
        """An address, for what has one; always the same, for what it is says nothing to anybody."""
        if not isinstance(value, Pointer | Table | Slice) or verb not in "vpbodxX":
            self.bad_verb(value, verb)
            return
        nil = value.target is None if isinstance(value, Pointer) else isinstance(value, Slice) and value.nil
        address = 0 if nil else _ADDRESS
        if verb == "v" and self.flags.sharp_v:
            self.write(f"({value.type.name})({'nil' if nil else hex(address)})")
        elif verb == "v" and nil:
            self.padded("<nil>")
        else:
            sharp, self.flags.sharp = (
                self.flags.sharp,
                not self.flags.sharp if verb in "vp" else self.flags.sharp,
            )
            self.integer(address, "x" if verb in "vp" else verb)
            self.flags.sharp = sharp

    def boolean(self, value: Value, verb: str) -> None:
        if verb in "tv":
            self.padded("true" if value else "false")
        else:
            self.bad_verb(value, verb)

    def integer(self, value: Value, verb: str) -> None:
        number = raw(value)
        if verb == "v" and self.flags.sharp_v and type_of(value).kind is GoKind.UINT:
            sharp, self.flags.sharp = self.flags.sharp, True
            self.integer(value, "x")
            self.flags.sharp = sharp
            return
        unsigned = number % 2**64
        if verb in "vdboOxX":
            if max(self.flags.width or 0, self.flags.precision or 0) > self.left:
                raise UserError("formatted text is too long")
            self.write(integer_text(number, verb, self.flags))
        elif verb == "c":
            self.padded(rune(unsigned))
        elif verb == "q":
            self.padded(quoted_rune(unsigned, self.flags.plus))
        elif verb == "U":
            self.padded(unicode_text(unsigned, self.flags), zero=False)
        else:
            self.bad_verb(value, verb)

    def floating(self, value: Value, verb: str) -> None:
        if verb not in "vbgGxXfFeE":
            self.bad_verb(value, verb)
            return
        if max(self.flags.width or 0, self.flags.precision or 0) > self.left:
            raise UserError("formatted text is too long")
        self.write(float_text(raw(value), verb, self.flags))

    def complex(self, value: Value, verb: str) -> None:
        if verb not in "vbgGxXfFeE":
            self.bad_verb(value, verb)
            return
        number = raw(value)
        plus = self.flags.plus
        self.write("(")
        self.floating(number.real, verb)
        self.flags.plus = True
        self.floating(number.imag, verb)
        self.write("i)")
        self.flags.plus = plus

    def string(self, value: Value, verb: str) -> None:
        text = raw(value)
        flags = self.flags
        if verb in "xX":
            self.padded(text_hexadecimal(text, verb == "X", flags))
            return
        cut = text if flags.precision is None else text[: flags.precision]
        if verb == "s" or (verb == "v" and not flags.sharp_v):
            self.padded(cut)
        elif verb in "qv":
            if flags.sharp and can_backquote(cut):
                self.padded(f"`{cut}`")
            else:
                self.padded(go_quote(cut, ascii_only=flags.plus))
        else:
            self.bad_verb(value, verb)


_BASIC: Final[dict[GoKind, Callable[[_Printer, Value, str], None]]] = {
    GoKind.BOOL: _Printer.boolean,
    GoKind.INT: _Printer.integer,
    GoKind.UINT: _Printer.integer,
    GoKind.FLOAT: _Printer.floating,
    GoKind.COMPLEX: _Printer.complex,
    GoKind.STRING: _Printer.string,
}
