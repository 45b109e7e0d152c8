"""The grammar of regular expressions as Go's regexp/syntax has it, and its words for what is wrong.

RE2 evaluates; what it takes and Go refuses is refused here, and what only Go takes is rewritten. Invalid UTF-8 comes as
lone surrogates. Limits are Go's: a repetition of 1000 (nested ones multiplied), a tree 1000 high, a program of 128 MiB.
"""

from __future__ import annotations

import re
from dataclasses import field
from functools import lru_cache
from typing import Final

import re2

from trimon.errors import UserError
from trimon.records import dataclass

REPEAT_MAX: Final = 1000
HEIGHT_MAX: Final = 1000
# Instructions of 40 bytes in 128 MiB.
SIZE_MAX: Final = 128 * 2**20 // 40
# Counts from here on are all the same to Go: too large.
_COUNT_MAX: Final = 10**8
_COUNT_DIGITS_MAX: Final = 8
_RUNE_MAX: Final = 0x10FFFF

_PLAIN = re.compile(r"[^\\.+*?()|\[\]{}^$\ud800-\udfff]+")
_COUNT = re.compile(r"\{(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\}")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_OCTAL = re.compile(r"[1-7][0-7]{1,2}|0[0-7]{0,2}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAMED_CLASSES: Final = frozenset(
    (
        *("alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph"),
        *("lower", "print", "punct", "space", "upper", "word", "xdigit"),
    )
)
# The long names of Unicode's categories, without what Go ignores in names.
_CATEGORIES: Final = {
    "Casedletter": "LC", "Closepunctuation": "Pe", "Combiningmark": "M", "Connectorpunctuation": "Pc",
    "Control": "Cc", "Currencysymbol": "Sc", "Dashpunctuation": "Pd", "Decimalnumber": "Nd", "Enclosingmark": "Me",
    "Finalpunctuation": "Pf", "Format": "Cf", "Initialpunctuation": "Pi", "Letter": "L", "Letternumber": "Nl",
    "Lineseparator": "Zl", "Lowercaseletter": "Ll", "Mark": "M", "Mathsymbol": "Sm", "Modifierletter": "Lm",
    "Modifiersymbol": "Sk", "Nonspacingmark": "Mn", "Number": "N", "Openpunctuation": "Ps", "Other": "C",
    "Otherletter": "Lo", "Othernumber": "No", "Otherpunctuation": "Po", "Othersymbol": "So",
    "Paragraphseparator": "Zp", "Privateuse": "Co", "Punctuation": "P", "Separator": "Z", "Spaceseparator": "Zs",
    "Spacingmark": "Mc", "Surrogate": "Cs", "Symbol": "S", "Titlecaseletter": "Lt", "Uppercaseletter": "Lu",
    "Cntrl": "Cc", "Digit": "Nd", "Punct": "P",
}  # fmt: skip


def bad_regexp(what: str, part: str) -> UserError:
    """The error for a part of a pattern, in Go's form."""
    return UserError(f"error parsing regexp: {what}: `{part}`")


@lru_cache(maxsize=256)
def _class_name(name: str) -> str | None:
    """RE2's name of a Unicode class, or None; case, spaces, hyphens and underscores do not matter."""
    options = re2.Options()
    options.log_errors = False
    canonical = re.sub("[-_ ]", "", name).capitalize()
    for known in (name, canonical, _CATEGORIES.get(canonical, "")):
        try:
            if _NAME.fullmatch(known):
                re2.compile(f"\\p{{{known}}}", options)
                return known
        except re2.error:
            continue
    return None


@dataclass(slots=True)
class _Node:
    """What limits need to know of a part: instructions, height of its tree, product of its repetitions."""

    size: int = 1
    height: int = 1
    repeats: int = 1


@dataclass(slots=True)
class _Group:
    """A parenthesis that is open, or the whole pattern: its finished alternatives, and the parts of the current one."""

    captures: bool = False
    alternatives: list[_Node] = field(default_factory=list)
    parts: list[_Node] = field(default_factory=list)

    def close_alternative(self) -> None:
        """Make one node of the current parts."""
        self.alternatives.append(_together(self.parts))
        self.parts = []

    def close(self) -> _Node:
        """The node of the whole group."""
        self.close_alternative()
        node = _together(self.alternatives)
        if len(self.alternatives) > 1:
            node.size += len(self.alternatives) - 1
        return _Node(node.size + 2, node.height + 1, node.repeats) if self.captures else node


def _together(nodes: list[_Node]) -> _Node:
    if len(nodes) == 1:
        return nodes[0]
    height = max((node.height for node in nodes), default=0)
    return _Node(
        max(sum(node.size for node in nodes), 1), height + 1, max((node.repeats for node in nodes), default=1)
    )


class GoPattern:
    """A pattern that Go takes; `text` is the same for RE2. Raises UserError with Go's words."""

    def __init__(self, pattern: str) -> None:
        self._whole = pattern
        self._groups = [_Group()]
        # Where the text for RE2 differs: start, end, replacement.
        self._changes: list[tuple[int, int, str]] = []
        # Where the repetition began that ends here, or -1.
        self._repeated = -1
        at = 0
        while at < len(pattern):
            at = self._part(at)
        if len(self._groups) > 1:
            raise bad_regexp("missing closing )", pattern)
        self._limited(self._groups[0].close())
        self.text = self._rewritten()

    def _rewritten(self) -> str:
        if not self._changes:
            return self._whole
        pieces, at = [], 0
        for start, end, text in self._changes:
            pieces += [self._whole[at:start], text]
            at = end
        return "".join([*pieces, self._whole[at:]])

    def _limited(self, node: _Node) -> _Node:
        if node.size > SIZE_MAX:
            raise bad_regexp("expression too large", self._whole)
        if node.height > HEIGHT_MAX:
            raise bad_regexp("expression nests too deeply", self._whole)
        return node

    def _push(self, node: _Node) -> None:
        self._groups[-1].parts.append(node)

    def _part(self, at: int) -> int:
        """Read one part of the pattern; where the next one begins."""
        text, repeated = self._whole, self._repeated
        self._repeated = -1
        plain = _PLAIN.match(text, at)
        if plain is not None:
            # What follows repeats the last character only.
            length = plain.end() - at
            if length > 1:
                self._push(_Node(length - 1))
            self._push(_Node())
            return plain.end()
        match text[at]:
            case "(":
                return self._open(at)
            case "|":
                self._groups[-1].close_alternative()
                return at + 1
            case ")":
                if len(self._groups) == 1:
                    raise bad_regexp("unexpected )", text)
                self._push(self._limited(self._groups.pop().close()))
                return at + 1
            case "[":
                at = self._class(at)
            case "*" | "+" | "?" as operator:
                return self._repeat(at, at + 1, repeated, 0 if operator == "*" else 1, -1)
            case "{" if (count := _COUNT.match(text, at)) is not None:
                return self._counted(count, repeated)
            case "\\":
                return self._escape(at)
            case _:
                at = self._rune(at)
        self._push(_Node())
        return at

    def _rune(self, at: int) -> int:
        if _SURROGATE.match(self._whole, at):
            raise bad_regexp("invalid UTF-8", self._whole[at:])
        return at + 1

    def _open(self, at: int) -> int:
        text = self._whole
        if not text.startswith("(?", at):
            self._groups.append(_Group(captures=True))
            return at + 1
        rest = len(text) - at
        named = (
            4 if rest > 4 and text.startswith("P<", at + 2) else 3 if rest > 3 and text[at + 2] == "<" else 0
        )
        if not named:
            return self._flags(at)
        end = text.find(">", at)
        self._valid(at, len(text) if end < 0 else end)
        if end < 0:
            raise bad_regexp("invalid named capture", text[at:])
        if not _NAME.fullmatch(text, at + named, end):
            raise bad_regexp("invalid named capture", text[at : end + 1])
        self._groups.append(_Group(captures=True))
        return end + 1

    def _valid(self, start: int, end: int) -> None:
        found = _SURROGATE.search(self._whole, start, end)
        if found is not None:
            raise bad_regexp("invalid UTF-8", self._whole[found.start() : end])

    def _flags(self, start: int) -> int:
        """Read `(?flags)` or `(?flags:`."""
        text, at = self._whole, start + 2
        negated, seen = False, False
        while at < len(text):
            at = self._rune(at)
            match text[at - 1]:
                case "i" | "m" | "s" | "U":
                    seen = True
                case "-" if not negated:
                    negated, seen = True, False
                case (":" | ")") as end if seen or not negated:
                    if end == ":":
                        self._groups.append(_Group())
                    return at
                case _:
                    break
        raise bad_regexp("invalid or unsupported Perl syntax", text[start:at])

    def _counted(self, count: re.Match[str], repeated: int) -> int:
        low_text, comma, high_text = count.groups()
        low = int(low_text) if len(low_text) <= _COUNT_DIGITS_MAX else _COUNT_MAX
        high = low
        if comma:
            high = -1
            if high_text:
                high = int(high_text) if len(high_text) <= _COUNT_DIGITS_MAX else _COUNT_MAX
        if low > REPEAT_MAX or high > REPEAT_MAX or 0 <= high < low:
            raise bad_regexp("invalid repeat count", count.group())
        return self._repeat(count.start(), count.end(), repeated, low, high, counted=True)

    def _repeat(
        self, start: int, end: int, repeated: int, low: int, high: int, *, counted: bool = False
    ) -> int:
        """Repeat the part before `start`; `high` is -1 where there is no limit."""
        text = self._whole
        if text.startswith("?", end):
            end += 1
        if repeated >= 0:
            raise bad_regexp("invalid nested repetition operator", text[repeated:end])
        parts = self._groups[-1].parts
        if not parts:
            raise bad_regexp("missing argument to repetition operator", text[start:end])
        node = parts[-1]
        times, size, repeats = 1, node.size + (1 if low else 2), node.repeats
        if counted:
            times = high if high >= 0 else low
            size = high * node.size + high - low if high >= 0 else low * node.size + (1 if low else 2)
            repeats = 1 if high == 0 else max(times, 1) * node.repeats
        if times > 1 and repeats > REPEAT_MAX:
            raise bad_regexp("invalid repeat count", text[start:end])
        parts[-1] = self._limited(_Node(max(size, 1), node.height + 1, repeats))
        self._repeated = start
        return end

    def _escape(self, at: int) -> int:
        """Read what a backslash begins outside of a class."""
        text = self._whole
        after = text[at + 1 : at + 2]
        if after == "C":
            raise bad_regexp("invalid escape sequence", text[at : at + 2])
        if after == "Q":
            end = text.find("\\E", at + 2)
            stop = len(text) if end < 0 else end
            self._valid(at + 2, stop)
            length = stop - at - 2
            if length > 1:
                self._push(_Node(length - 1))
            if length:
                self._push(_Node())
            return stop if end < 0 else end + 2
        if after and after in "AbBz":
            at += 2
        else:
            found = self._known_class(at)
            at = self._character(at) if found is None else found
        self._push(_Node())
        return at

    def _known_class(self, at: int) -> int | None:
        r"""The end of a class such as `\d` or `\p{Greek}`, or None."""
        text = self._whole
        after = text[at + 1 : at + 2]
        if after and after in "dDsSwW":
            return at + 2
        if after not in ("p", "P"):
            return None
        if not text.startswith("{", at + 2):
            end = at + 2 if at + 2 == len(text) else self._rune(at + 2)
            name, prefix = text[at + 2 : end], ""
        else:
            close = text.find("}", at)
            self._valid(at, len(text) if close < 0 else close)
            if close < 0:
                raise bad_regexp("invalid character class range", text[at:])
            end = close + 1
            prefix = "^" if text.startswith("^", at + 3) else ""
            name = text[at + 3 + len(prefix) : close]
        known = _class_name(name) if name else None
        if known is None:
            raise bad_regexp("invalid character class range", text[at:end])
        if known != name:
            self._changes.append((at, end, f"\\{after}{{{prefix}{known}}}"))
        return end

    def _character(self, at: int) -> int:
        """The end of an escape that is one character."""
        text, end = self._whole, at + 2
        if end > len(text):
            raise bad_regexp("trailing backslash at end of expression", "")
        self._rune(at + 1)
        after = text[at + 1]
        octal = _OCTAL.match(text, at + 1)
        if octal is not None:
            return octal.end()
        if after in "afnrtv" or (after.isascii() and not after.isalnum()):
            return end
        if after == "x" and end < len(text):
            end, valid = self._hexadecimal(end)
            if valid:
                return end
        raise bad_regexp("invalid escape sequence", text[at:end])

    def _hexadecimal(self, at: int) -> tuple[int, bool]:
        r"""How far the digits behind `\x` reach, with what ends them, and whether they are a character."""
        text = self._whole
        if text[at] != "{":
            self._rune(at)
            if at + 1 == len(text):
                return at + 1, False
            self._rune(at + 1)
            return at + 2, re.fullmatch("[0-9A-Fa-f]{2}", text[at : at + 2]) is not None
        value, first = 0, at + 1
        for place in range(first, len(text)):
            self._rune(place)
            if text[place] == "}":
                return place + 1, place > first
            if text[place] not in "0123456789abcdefABCDEF":
                return place + 1, False
            value = value * 16 + int(text[place], 16)
            if value > _RUNE_MAX:
                return place + 1, False
        return len(text), False

    def _class(self, start: int) -> int:
        """The end of a class in brackets."""
        text, first = self._whole, True
        at = start + 2 if text.startswith("^", start + 1) else start + 1
        while first or not text.startswith("]", at):
            first = False
            if text.startswith("[:", at) and (end := text.find(":]", at + 2)) >= 0:
                if text[at + 2 : end].removeprefix("^") not in _NAMED_CLASSES:
                    raise bad_regexp("invalid character class range", text[at : end + 2])
                at = end + 2
                continue
            if text.startswith("\\", at) and (known := self._known_class(at)) is not None:
                at = known
                continue
            low = at
            at = high = self._class_character(at, start)
            if text.startswith("-", at) and at + 1 < len(text) and text[at + 1] != "]":
                high = at + 1
                at = self._class_character(high, start)
                if _value(text[high:at]) < _value(text[low : high - 1]):
                    raise bad_regexp("invalid character class range", text[low:at])
        return at + 1

    def _class_character(self, at: int, start: int) -> int:
        if at >= len(self._whole):
            raise bad_regexp("missing closing ]", self._whole[start:])
        return self._character(at) if self._whole[at] == "\\" else self._rune(at)


def _value(character: str) -> int:
    """The code point of a character of a class as it is written."""
    if not character.startswith("\\"):
        return ord(character)
    digits = character[1:]
    if digits.startswith("x"):
        return int(digits[1:].strip("{}"), 16)
    if digits[0] in "01234567":
        return int(digits, 8)
    return ord({"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}.get(digits, digits))
