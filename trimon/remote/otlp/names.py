"""What metrics, units and attributes of OpenTelemetry are called as series.

Source: the OpenTelemetry specification's "Prometheus and OpenMetrics Compatibility"; what it leaves open is as in Prometheus.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

from trimon.config.otlp import ESCAPED, UNESCAPED, OtlpConfig
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.records import dataclass

_UNITS: Final = {
    # time
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds",
    # bytes
    "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tibibytes",
    "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    # other quantities
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
_PER_UNITS: Final = {
    "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
}  # fmt: skip
_NOT_IN_UNIT: Final = re.compile(r"[^a-zA-Z0-9:]")
_UNDERSCORES: Final = re.compile("__+")
_BETWEEN_TOKENS: Final = re.compile(r"[^a-zA-Z0-9:]+")
_BETWEEN_PARTS: Final = re.compile(r"[^a-zA-Z0-9:_]+")
_NOT_IN_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")
_NOT_IN_LABEL_RUN: Final = re.compile(r"[^a-zA-Z0-9]+")
_RESERVED: Final = re.compile(r"__.*__", re.DOTALL)


class EmptyName(UserError):
    """A name of which nothing is left."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of UCUM as it is said in names: `By/s` is bytes, and per second."""

    main: str = ""
    per: str = ""

    @classmethod
    def of(cls, text: str) -> Unit:
        """Of what a metric says; what stands in braces is a remark."""
        main, _, per = text.partition("/")
        return cls(_part(main, _UNITS), _part(per, _PER_UNITS))

    def clean(self) -> Unit:
        """In characters that every name may have."""
        return Unit(_clean(self.main), _clean(self.per))

    def label(self, *, escapes: bool) -> str:
        """The value of the label `__unit__`; what is a known unit once odd characters are gone is said as one."""
        clean = self.clean()
        main = clean.main.removesuffix("_") if escapes and self.per else clean.main
        whole = (f"{main}_per_{clean.per}" if self.per else main).strip("_")
        return _UNITS.get(whole, whole)


def _part(text: str, known: dict[str, str]) -> str:
    text = text.strip()
    return "" if "{" in text or "}" in text else known.get(text, text)


def _clean(text: str) -> str:
    return _UNDERSCORES.sub("_", _NOT_IN_UNIT.sub("_", text)).removeprefix("_")


@dataclass(frozen=True)
class Namer:
    """One strategy of translation, with its options."""

    escapes: bool = True
    suffixes: bool = True
    prefixes_underscore: bool = True
    """Whether a label that begins with one underscore gets `key` before it."""
    keeps_underscores: bool = True
    """Whether several underscores in a row of a label stay several."""

    @classmethod
    def of(cls, config: OtlpConfig) -> Namer:
        """As a configuration says."""
        strategy = config.translation_strategy or ESCAPED[0]
        return cls(
            escapes=strategy in ESCAPED,
            suffixes=strategy in (ESCAPED[0], UNESCAPED[0]),
            prefixes_underscore=config.label_name_underscore_sanitization,
            keeps_underscores=config.label_name_preserve_multiple_underscores,
        )

    def metric(self, name: str, unit: str, *, is_counter: bool, is_gauge: bool) -> str:
        """The name of a metric. Raises EmptyName where nothing is left of it, but without escaping."""
        if not self.escapes:
            return self._suffixed(name, unit, is_counter, is_gauge) if self.suffixes else name
        if self.suffixes:
            built = "_".join(self._tokens(name, unit, is_counter, is_gauge))
        else:
            built = "_".join(part for part in _BETWEEN_PARTS.split(name) if part)
        if built[:1].isdigit():
            built = f"_{built}"
        return _something("", name, built)

    @staticmethod
    def _tokens(name: str, unit_text: str, is_counter: bool, is_gauge: bool) -> list[str]:
        tokens = [token for token in _BETWEEN_TOKENS.split(name) if token]
        unit = Unit.of(unit_text).clean()
        main = "" if unit.main in tokens else unit.main
        per = unit.per.removesuffix("_")
        if per:
            main = main.removesuffix("_")
        tokens += [main] if main else []
        tokens += ["per", per] if per else []
        last = "total" if is_counter else "ratio" if is_gauge and unit_text == "1" else ""
        return [*(token for token in tokens if token != last), last] if last else tokens

    @staticmethod
    def _suffixed(name: str, unit_text: str, is_counter: bool, is_gauge: bool) -> str:
        """The name as it is, with its suffixes in their order, each once."""
        unit = Unit.of(unit_text)
        per = f"per_{unit.per}" if unit.per else ""
        last = "total" if is_counter else "ratio" if is_gauge and unit_text == "1" else ""
        for suffix in (last, per):
            if suffix and name.endswith(suffix) and len(name) > len(suffix) + 1:
                name = name[: -len(suffix) - 1]
        if name.endswith(unit.main):
            return "_".join((name, *(suffix for suffix in (per, last) if suffix)))
        return "_".join((name, *(suffix for suffix in (unit.main, per, last) if suffix)))

    def label(self, name: str) -> str:
        """The name of a label. Raises EmptyName where nothing is left of it."""
        known = self._labels.get(name)
        if known is None:
            known = self._label(name)
            if len(self._labels) < _REMEMBERED_MAX:
                self._labels[name] = known
        return known

    @cached_property
    def _labels(self) -> dict[str, str]:
        return {}

    def _label(self, name: str) -> str:
        if not name:
            raise EmptyName("label name is empty")
        if not self.escapes:
            return name
        if self.keeps_underscores:
            built = _NOT_IN_LABEL.sub("_", name)
        elif _RESERVED.fullmatch(name):
            # Such a name is one of Prometheus' own, and stays one: `__name__` must not become another label.
            built = f"__{_NOT_IN_LABEL_RUN.sub('_', name[2:-2])}__"
        else:
            built = _NOT_IN_LABEL_RUN.sub("_", name)
        if built[:1].isdigit():
            built = f"key_{built}"
        elif self.prefixes_underscore and built.startswith("_") and not built.startswith("__"):
            built = f"key{built}"
        return _something("label name ", name, built)


_REMEMBERED_MAX: Final = 100_000


def _something(what: str, name: str, built: str) -> str:
    """A built name. Raises EmptyName where it is empty, or underscores alone."""
    subject = f"normalization for {what or 'metric '}{go_quote(name)} resulted in"
    if not built:
        raise EmptyName(f"{subject} empty name")
    if not built.strip("_"):
        raise EmptyName(f"{subject} invalid name {go_quote(built)}")
    return built
