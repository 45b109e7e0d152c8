"""The labels of new series from parts that the same body has shown before.

A target repeats itself: families have the same labels under name after name, and the buckets of a histogram differ in their
last label. So of a body's first thousand lines most have a name, and a text in braces or most of one, that stood in other
lines. These are looked up as they are, and no pattern is matched.

```text
node_cpu_seconds_total{cpu="0",mode="idle"} 5     parsed: name, braces, and braces without the last value are learnt
node_cpu_seconds_total{cpu="0",mode="user"} 7     put together: but for the last value all is known
node_cpu_guest_total{cpu="0",mode="idle"} 1       parsed: this name is new
node_cpu_guest_total{cpu="0",mode="user"} 2       put together: all is known
```

Whatever else decides over the final labels, such as relabeling by name, switches it off. A text in braces has one meaning for
all types but those whose bounds are written in one form: these are learnt apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from trimon.model.labels import BUCKET_LABEL, METRIC_NAME, QUANTILE_LABEL, Labels
from trimon.scrape.exposition.bodymemory import SeriesRule
from trimon.scrape.exposition.families import FamilyDeclaration
from trimon.scrape.exposition.records import Pairs

# The label of bounds by type.
_BOUNDED: Final = {"histogram": BUCKET_LABEL, "summary": QUANTILE_LABEL}
_END: Final = b"} "
_NEXT: Final = b'",'
_VALUE: Final = b'="'


class _Stem(NamedTuple):
    """The name of the last label, whether its value is a bound, and the other labels without the metric's."""

    name: str
    is_bound: bool
    rest: Labels


class LabelParts:
    """What lines of one body have shown: names, and texts in braces with the labels before and behind the name."""

    def __init__(self, rule: SeriesRule) -> None:
        self._is_on = getattr(rule, "is_by_parts", False) is True
        self._names: dict[bytes, tuple[str, str]] = {}
        self._braces: dict[tuple[bytes, str], tuple[Labels, Labels]] = {}
        # By the text up to the last value.
        self._stems: dict[tuple[bytes, str], _Stem] = {}
        self._bound: Callable[[str], str] = getattr(rule, "bound", str)

    def find(self, head: bytes, declared: FamilyDeclaration) -> Labels | None:
        """The final labels of a series by its text with the space after it; None where a part of it is new."""
        name, inner = _split(head)
        pair = self._names.get(name)
        if pair is None or inner is None:
            return None
        kind = declared.type if declared.type in _BOUNDED else ""
        parts = self._braces.get((inner, kind))
        if parts is not None:
            return (*parts[0], pair, *parts[1])
        stem, value = _last(inner)
        known = self._stems.get((stem, kind)) if value else None
        if known is None:
            return None
        text = value.decode()
        return tuple(sorted((*known.rest, pair, (known.name, self._bound(text) if known.is_bound else text))))

    def learn(self, head: bytes, pairs: Pairs, labels: Labels, declared: FamilyDeclaration) -> None:
        """A series was parsed, of which the head is all text before the value, and has the given labels in the end."""
        if not self._is_on or not pairs or pairs[0] not in labels:
            return
        name, inner = _split(head)
        label, metric = pair = pairs[0]
        if inner is None or label != METRIC_NAME or metric.encode(errors="replace") != name:
            return
        place = labels.index(pair)
        kind = declared.type if declared.type in _BOUNDED else ""
        self._names[name] = pair
        self._braces[inner, kind] = labels[:place], labels[place + 1 :]
        self._learn_stem(inner, kind, pairs, labels)

    def _learn_stem(self, inner: bytes, kind: str, pairs: Pairs, labels: Labels) -> None:
        (stem, value), (name, text) = _last(inner), pairs[-1]
        if not value or text.encode(errors="replace") != value:
            return
        is_bound = _BOUNDED.get(kind) == name
        last = (name, self._bound(text) if is_bound else text)
        # Where a label of the target has the same name, the one of the body is called otherwise in the end.
        if last in labels and set(pairs[:-1]) <= set(labels):
            rest = tuple(each for each in labels if each not in (pairs[0], last))
            self._stems[stem, kind] = _Stem(name, is_bound, rest)


def _split(head: bytes) -> tuple[bytes, bytes | None]:
    """The name and the text in braces; None for a text that ends otherwise."""
    name, brace, rest = head.partition(b"{")
    if not brace:
        return head[:-1], b""
    return name, rest[:-2] if rest.endswith(_END) else None


def _last(inner: bytes) -> tuple[bytes, bytes]:
    """A text in braces up to the last value, and that value; an empty value where it is none of plain ASCII."""
    begin = inner.rfind(_VALUE) + len(_VALUE)
    stem, value = inner[:begin], inner[begin:-1]
    plain = (
        begin > len(_VALUE)
        and inner[-1:] == b'"'
        and value.isascii()
        and b"\\" not in stem
        and not any(odd in value for odd in (b'"', b"\\", b"\0"))
    )
    return stem, value if plain else b""
