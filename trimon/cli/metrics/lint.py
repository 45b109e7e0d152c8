"""What is unusual about metrics: names, units, suffixes, help. The words are those of Prometheus' own linter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from trimon.cli.metrics.families import ExposedFamily

_BASE_UNITS: Final = (
    "amperes bytes celsius grams joules kelvin meters metres moles seconds volts".split()  # noqa: SIM905 # a list of words
)
_UNITS: Final = {
    **{unit: unit for unit in _BASE_UNITS},
    **dict.fromkeys(("minutes", "hours", "days", "weeks"), "seconds"),
    "kelvins": "kelvin",
    **dict.fromkeys(("fahrenheit", "rankine"), "celsius"),
    **dict.fromkeys(("inches", "yards", "miles"), "meters"),
    "bits": "bytes",
    "calories": "joules",
    **dict.fromkeys(("pounds", "ounces"), "grams"),
}
_PREFIXES: Final = (
    "pico nano micro milli centi deci deca hecto kilo kibi mega mibi giga gibi tera tebi peta pebi".split()  # noqa: SIM905 # the same
)
_ABBREVIATIONS: Final = "s ms us ns sec b kb mb gb tb pb m h d".split()  # noqa: SIM905 # the same
_CAMEL_CASE: Final = re.compile(r"[a-z][A-Z]")
_TYPES: Final = ("counter", "gauge", "summary", "histogram", "gauge_histogram")


def problems(families: Iterable[ExposedFamily]) -> list[tuple[str, str]]:
    """Name and problem of all families that have samples, sorted."""
    return sorted(
        (family.name, problem) for family in families if family.samples for problem in _of_family(family)
    )


def _of_family(family: ExposedFamily) -> Iterator[str]:
    if not family.help:
        yield "no help text"
    yield from _unit(family.name)
    yield from _suffixes(family)
    yield from _labels(family)
    name = family.name.lower()
    for kind in _TYPES:
        if _has_part(name, kind):
            yield f"metric name should not include type '{kind}'"
    if ":" in family.name:
        yield "metric names should not contain ':'"
    if _CAMEL_CASE.search(family.name):
        yield "metric names should be written in 'snake_case' not 'camelCase'"
    for unit in _ABBREVIATIONS:
        if _has_part(name, unit):
            yield "metric names should not contain abbreviated units"
    keys = {(each.name, *sorted(each.labels.items())) for each in family.samples}
    if len(keys) < len(family.samples):
        yield "metric not unique"


def _has_part(name: str, part: str) -> bool:
    return f"_{part}_" in name or name.endswith(f"_{part}")


def _unit(name: str) -> Iterator[str]:
    for part in name.split("_"):
        stems = [part, *(part.removeprefix(prefix) for prefix in _PREFIXES if part.startswith(prefix))]
        for stem in stems:
            base = _UNITS.get(stem, part)
            if part != base:
                yield f'use base unit "{base}" instead of "{part}"'
                return  # of several the first one; promtool takes any


def _suffixes(family: ExposedFamily) -> Iterator[str]:
    name, kind = family.name, family.type
    if kind == "counter" and not name.endswith("_total"):
        yield 'counter metrics should have "_total" suffix'
    if kind in ("", "unknown"):
        return
    if kind != "counter" and name.endswith("_total"):
        yield 'non-counter metrics should not have "_total" suffix'
    if kind != "histogram" and name.endswith("_bucket"):
        yield 'non-histogram metrics should not have "_bucket" suffix'
    if kind not in ("histogram", "summary"):
        for suffix in ("_count", "_sum"):
            if name.endswith(suffix):
                yield f'non-histogram and non-summary metrics should not have "{suffix}" suffix'


def _labels(family: ExposedFamily) -> Iterator[str]:
    typed = family.type not in ("", "unknown")
    for sample in family.samples:
        for name in sample.labels:
            if typed and family.type != "histogram" and name == "le":
                yield 'non-histogram metrics should not have "le" label'
            if typed and family.type != "summary" and name == "quantile":
                yield 'non-summary metrics should not have "quantile" label'
            if _CAMEL_CASE.search(name):
                yield "label names should be written in 'snake_case' not 'camelCase'"


def cardinality_table(families: Iterable[ExposedFamily]) -> str:
    """How many series each family has, the most first."""
    counts = sorted(
        ((family.name, len(family.samples)) for family in families), key=lambda row: (-row[1], row[0])
    )
    total = sum(count for _, count in counts)
    rows = [
        ("Metric", "Cardinality", "Percentage"),
        *((name, str(count), f"{100 * count / total:.2f}%") for name, count in counts),
        ("Total", str(total), "100%"),
    ]
    widths = [max(len(row[column]) for row in rows) + 4 for column in range(3)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )
