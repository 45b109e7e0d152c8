"""A body that a program pushed, read once: the series and values that its group shows from then on.

Source: Pushgateway's README (requests, grouping keys, what is refused).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import numpy as np

from trimon.errors import UserError
from trimon.model.components import is_component
from trimon.model.frame import Values
from trimon.model.labellimits import checked
from trimon.model.labels import JOB_LABEL, METRIC_NAME, Labels, valid_label_name
from trimon.records import dataclass
from trimon.scrape.bodylayouts import BodyLayouts
from trimon.scrape.exposition.bodymemory import never_late
from trimon.scrape.exposition.families import BodyFamily, FamilyDeclaration, MetadataCache
from trimon.scrape.exposition.negotiation import choose_format
from trimon.scrape.exposition.records import ExpositionError, Pairs
from trimon.scrape.options import PoolOptions
from trimon.scrape.outcome import bounds_ms
from trimon.scrape.series_labels import SeriesLabels
from trimon.scrape.target import Target

PUSHED_AT: Final = "push_time_seconds"
FAILED_AT: Final = "push_failure_time_seconds"
_BASE64: Final = "@base64"
_PARTS: Final = ("_bucket", "_sum", "_count", "_total", "_created", "_info")
_OPTIONS: Final = PoolOptions("pushed", native_histograms=True)


@dataclass(frozen=True, slots=True)
class PushedFamily:
    """The series of one metric family, histograms as markers and components, and their values."""

    series: tuple[Labels, ...]
    values: Values


@dataclass(frozen=True, slots=True)
class PushedBody:
    """What a body shows, by family, and what it says of the families."""

    families: Mapping[str, PushedFamily]
    metadata: tuple[tuple[str, str, str, str], ...]


def grouping_of(path: str) -> Labels:
    """The labels of a group by its path, `job/<job>/<label>/<value>...`. Raises UserError.

    The value of `label@base64` is encoded, so that it may hold slashes or be empty (`=`).
    """
    parts = path.strip("/").split("/")
    if len(parts) % 2:
        raise UserError("a label of the path has no value")
    labels: dict[str, str] = {}
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        label = name.removesuffix(_BASE64)
        if not valid_label_name(label) or label.startswith("__"):
            raise UserError(f"improper label name {label!r}")
        if label in labels:
            raise UserError(f"label {label!r} is there twice")
        labels[label] = _decoded(value) if name.endswith(_BASE64) else value
    if parts[0].removesuffix(_BASE64) != JOB_LABEL:
        raise UserError("the path of a group begins with a job")
    if not labels[JOB_LABEL]:
        raise UserError("job name is required")
    return checked(labels)


def _decoded(value: str) -> str:
    try:
        raw = base64.urlsafe_b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4))
        return raw.decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise UserError(f"{value[:80]!r} is not base64 of a text") from None


class _GroupedLabels:
    """Gives each series the labels of its group, whatever it has itself under their names."""

    def __init__(self, grouping: Labels) -> None:
        self._grouping = dict(grouping)
        self._rule = SeriesLabels((), _OPTIONS)

    def __call__(self, pairs: Pairs, declared: FamilyDeclaration) -> Labels | None:
        """The final labels of a series. Raises ExpositionError."""
        labels = self._rule(pairs, declared)
        return None if labels is None else checked({**dict(labels), **self._grouping})


def read_push(body: bytes, content_type: str, grouping: Labels, now_ms: int) -> PushedBody:
    """Reads a body; text of Prometheus where its type says nothing else. Raises UserError, and nothing of it counts."""
    try:
        chosen = choose_format(content_type, "PrometheusText0.0.4")
        layout = BodyLayouts(_GroupedLabels(grouping), _target(grouping), _OPTIONS, MetadataCache()).use(
            chosen
        )
        reading = layout.read(body, bounds_ms(now_ms), never_late)
    except ExpositionError as error:
        raise UserError(str(error)) from None
    if reading.timed:
        raise UserError("pushed metrics must not have timestamps")
    if count := max(reading.repeats, reading.duplicates):
        raise UserError(f"series are there twice: {count} samples too many")
    families: dict[str, tuple[list[Labels], list[float]]] = {}
    for labels, value in zip(reading.new_labels, reading.values.tolist(), strict=True):
        name = family_of(dict(labels)[METRIC_NAME], layout.families)
        if name in (PUSHED_AT, FAILED_AT):
            raise UserError(f"{name} is a metric of the server's own")
        series, values = families.setdefault(name, ([], []))
        series.append(labels)
        values.append(value)
    read = {
        name: PushedFamily(tuple(series), np.array(values)) for name, (series, values) in families.items()
    }
    told = ((name, each.type, each.help, each.unit) for name, each in layout.families.items())
    return PushedBody(read, tuple(told))


def family_of(name: str, families: Mapping[str, BodyFamily]) -> str:
    """The family that a series of a body belongs to by its name."""
    if name not in families:
        for part in _PARTS:
            if name.endswith(part) and (base := name.removesuffix(part)) in families:
                return base
    return name


def shown_series(families: Mapping[str, PushedFamily]) -> int:
    """How many series families have, without the components of histograms."""
    return sum(not is_component(labels) for family in families.values() for labels in family.series)


def _target(grouping: Labels) -> Target:
    return Target(
        job="pushed",
        labels=grouping,
        url="",
        interval_ms=0,
        timeout_ms=0,
        discovered=grouping,
        key="pushed",
        native_histograms=True,
    )
