"""Label sets at the edges of the program: short tuples of pairs, sorted by name.

Inside storage and query labels are integer codes (`table.py`); this form is for single series: targets,
new series on their way in, results on their way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from trimon.gotext.strings import go_quote

METRIC_NAME: Final = "__name__"
TYPE_LABEL: Final = "__type__"
UNIT_LABEL: Final = "__unit__"
BUCKET_LABEL: Final = "le"
QUANTILE_LABEL: Final = "quantile"
JOB_LABEL: Final = "job"
INSTANCE_LABEL: Final = "instance"

# Sorted by name, names distinct, no empty name, no empty value. The identity of a series.
Labels: TypeAlias = tuple[tuple[str, str], ...]

_LEGACY_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LEGACY_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


def labels_of(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """The label set of name-value pairs: sorted, empty values left out; of equal names the last one wins."""
    return tuple(sorted((name, value) for name, value in dict(pairs).items() if value))


def is_legacy_metric_name(name: str) -> bool:
    """Whether a metric name needs no quotes in PromQL and the text format."""
    return _LEGACY_METRIC.fullmatch(name) is not None


def is_legacy_label_name(name: str) -> bool:
    """Whether a label name needs no quotes in PromQL and the text format."""
    return _LEGACY_LABEL.fullmatch(name) is not None


def format_labels(labels: Labels) -> str:
    """A series as Prometheus prints it, `name{a="b"}`; names outside the legacy alphabet are quoted."""
    inner: list[str] = []
    metric = ""
    for name, value in labels:
        if name == METRIC_NAME and is_legacy_metric_name(value):
            metric = value
        elif name == METRIC_NAME:
            inner.insert(0, go_quote(value))
        else:
            inner.append(_format_pair(name, value))
    if metric and not inner:
        return metric
    return f"{metric}{{{', '.join(inner)}}}"


def format_label_set(labels: Labels) -> str:
    """All labels in braces, the name of the metric among them."""
    return f"{{{', '.join(_format_pair(name, value) for name, value in labels)}}}"


def _format_pair(name: str, value: str) -> str:
    return f"{name if is_legacy_label_name(name) else go_quote(name)}={go_quote(value)}"


def valid_label_name(name: str) -> bool:
    """Whether a text may be the name of a label: not empty, and UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return bool(name)
