"""Which labels a scraped series ends up with: the target's labels, honor_labels, metric relabeling, limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from trimon import limits
from trimon.errors import UserError
from trimon.model.gofloat import format_label, parse_float
from trimon.model.labels import (
    BUCKET_LABEL,
    METRIC_NAME,
    QUANTILE_LABEL,
    Labels,
    format_labels,
    is_legacy_label_name,
    is_legacy_metric_name,
    labels_of,
)
from trimon.scrape.exposition import Pairs, ParseError
from trimon.scrape.families import Family
from trimon.scrape.options import PoolOptions


class SeriesLabels:
    """The rule of one target; called once per series that was never seen. Raises ParseError."""

    def __init__(self, target_labels: Labels, options: PoolOptions) -> None:
        self._target = target_labels
        self._target_names = frozenset(name for name, _ in target_labels)
        self._options = options
        self._limited = bool(
            options.label_limit or options.label_name_length_limit or options.label_value_length_limit
        )

    def __call__(self, pairs: Pairs, family: Callable[[str], Family | None]) -> Labels | None:
        """The final labels of a series, None when relabeling drops it."""
        pairs = _normalise(pairs, family)
        names = {name for name, _ in pairs}
        if len(names) != len(pairs):
            raise ParseError(f"label name is not unique: {format_labels(pairs)}")
        if names.isdisjoint(self._target_names) and not self._options.metric_relabeling:
            labels = tuple(sorted((*self._target, *(pair for pair in pairs if pair[1]))))
        else:
            merged = self._merge(dict(pairs))
            if not self._options.metric_relabeling.apply(merged):
                return None
            labels = labels_of(merged)
        self._check(labels)
        return labels

    def _merge(self, exposed: dict[str, str]) -> dict[str, str]:
        if self._options.honor_labels:
            return {**dict(self._target), **exposed}
        merged = dict(exposed)
        clashes = [name for name, _ in self._target if merged.get(name)]
        for name in sorted(clashes, key=lambda clash: (len(clash), clash)):
            renamed = f"exported_{name}"
            while renamed in merged or renamed in self._target_names:
                renamed = f"exported_{renamed}"
            merged[renamed] = merged[name]
        return {**merged, **dict(self._target)}

    def _check(self, labels: Labels) -> None:
        name = next((value for label, value in labels if label == METRIC_NAME), "")
        if not name:
            raise ParseError(f"missing metric name (__name__ label): {format_labels(labels)}")
        if len(labels) > limits.LABELS_PER_SERIES_MAX:
            raise ParseError(
                f"label_limit exceeded (metric: {name:.50}, number of labels: {len(labels)}, "
                f"limit: {limits.LABELS_PER_SERIES_MAX})"
            )
        if self._options.legacy_names and not (
            is_legacy_metric_name(name) and all(is_legacy_label_name(label) for label, _ in labels)
        ):
            raise ParseError(f"invalid metric name or label names: {format_labels(labels)}")
        if self._limited:
            self._check_limits(labels, name)

    def _check_limits(self, labels: Labels, metric: str) -> None:
        options = self._options
        if options.label_limit and len(labels) > options.label_limit:
            raise ParseError(
                f"label_limit exceeded (metric: {metric:.50}, number of labels: {len(labels)}, "
                f"limit: {options.label_limit})"
            )
        for name, value in labels:
            size = len(name.encode())
            if options.label_name_length_limit and size > options.label_name_length_limit:
                raise ParseError(
                    f"label_name_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, "
                    f"length: {size}, limit: {options.label_name_length_limit})"
                )
            size = len(value.encode())
            if options.label_value_length_limit and size > options.label_value_length_limit:
                raise ParseError(
                    f"label_value_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, "
                    f"value: {value:.50}, length: {size}, limit: {options.label_value_length_limit})"
                )


def _normalise(pairs: Pairs, family: Callable[[str], Family | None]) -> Pairs:
    """`le` and `quantile` in OpenMetrics' float form, where the family's type says they are numbers."""
    for index, (name, value) in enumerate(pairs):
        if name not in (BUCKET_LABEL, QUANTILE_LABEL):
            continue
        metric = pairs[0][1]
        if name == BUCKET_LABEL:
            found = family(metric.removesuffix("_bucket"))
            wanted = found is not None and found.type in ("histogram", "gaugehistogram")
        else:
            found = family(metric)
            wanted = found is not None and found.type == "summary"
        if wanted:
            pairs = (*pairs[:index], (name, _as_float(value)), *pairs[index + 1 :])
    return pairs


@lru_cache(maxsize=4096)
def _as_float(text: str) -> str:
    """A number as OpenMetrics writes it; what is no number stays. Bounds repeat in every histogram."""
    try:
        return format_label(parse_float(text))
    except UserError:
        return text
