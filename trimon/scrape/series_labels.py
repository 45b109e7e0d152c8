"""Which labels a scraped series ends up with: the target's labels, honor_labels, metric relabeling, limits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from operator import itemgetter
from typing import Final

from trimon import limits
from trimon.gotext.strings import go_quote
from trimon.model.labels import (
    BUCKET_LABEL,
    METRIC_NAME,
    QUANTILE_LABEL,
    Labels,
    is_legacy_label_name,
    is_legacy_metric_name,
    labels_of,
)
from trimon.scrape.exposition.bounds import written_bound
from trimon.scrape.exposition.families import FamilyDeclaration
from trimon.scrape.exposition.records import ExpositionError, LabelLimitError, Pairs
from trimon.scrape.options import PoolOptions

_TYPE_LABEL: Final = "__type__"
_UNIT_LABEL: Final = "__unit__"
_NAME: Final = itemgetter(0)
_VALUE: Final = itemgetter(1)
# Below these types a label is a number.
_NORMALISED: Final = frozenset(("histogram", "summary"))
_ORDERS_MAX: Final = 256


class SeriesLabels:
    """The rule of one target; called once per series that was never seen. Raises ExpositionError."""

    def __init__(self, target_labels: Labels, options: PoolOptions) -> None:
        self._target = target_labels
        self._target_names = frozenset(name for name, _ in target_labels)
        self._options = options
        # by the names of a series that was found sound, in their order, what makes its labels of the target's and its own,
        # and where among these each of its labels is
        self._orders: dict[tuple[str, ...], Callable[[Labels], Labels]] = {}
        self._places: dict[tuple[str, ...], tuple[int, ...]] = {}
        self._limited = bool(
            options.label_limit or options.label_name_length_limit or options.label_value_length_limit
        )

    @property
    def is_by_parts(self) -> bool:
        """Whether the labels beside the name are the same under every name."""
        return not (self._options.metric_relabeling or self._options.type_and_unit_labels)

    @property
    def is_by_names(self) -> bool:
        """Whether nothing but the names of a series' labels may decide what its labels are in the end."""
        options = self._options
        return not (
            options.metric_relabeling or options.type_and_unit_labels or options.legacy_names or self._limited
        )

    @property
    def target_labels(self) -> Labels:
        """Those that every series has."""
        return self._target

    def places(self, names: tuple[str, ...]) -> tuple[int, ...] | None:
        """Where each label of a series with these names is, among the target's and then its own in their order.

        None where that is not known, or more than the names decides. It holds for values of ASCII that are not empty.
        """
        return self._places.get(names)

    @staticmethod
    def bound(text: str) -> str:
        """A bound of a bucket, or a quantile, as it is written in the end."""
        return written_bound(text)

    def __call__(self, pairs: Pairs, declared: FamilyDeclaration) -> Labels | None:
        """The final labels of a series, None when relabeling drops it."""
        if declared.type in _NORMALISED:
            pairs = _normalise(pairs, declared)
        arranged = self._orders.get(tuple(map(_NAME, pairs)))
        if arranged is not None:
            values = list(map(_VALUE, pairs))
            if all(values) and "".join(values).isascii():
                return arranged((*self._target, *pairs))
        if self._options.type_and_unit_labels:
            pairs = _with_type_and_unit(pairs, declared)
        names = set(map(_NAME, pairs))
        if names.isdisjoint(self._target_names) and not self._options.metric_relabeling:
            labels = tuple(sorted((*self._target, *(pair for pair in pairs if pair[1]))))
        else:
            merged = self._merge(dict(pairs))
            if not self._options.metric_relabeling.apply(merged):
                return None
            labels = labels_of(merged)
        self._check(labels)
        if len(names) != len(pairs):
            ordered = sorted(name for name, _ in pairs)
            twice = next(name for name, after in pairwise(ordered) if name == after)
            raise ExpositionError(f"label name {go_quote(twice)} is not unique: invalid sample")
        self._learn_order(pairs, labels)
        return labels

    def _learn_order(self, pairs: Pairs, labels: Labels) -> None:
        """Series with the same names in the same order are put together in the same way, where nothing else decides."""
        every = (*self._target, *pairs)
        if not self.is_by_names or len(every) != len(labels) or len(every) < 2 or set(every) != set(labels):
            return
        if len(self._orders) >= _ORDERS_MAX:
            self._orders.clear()
            self._places.clear()
        names, places = tuple(map(_NAME, pairs)), tuple(map(every.index, labels))
        self._orders[names], self._places[names] = itemgetter(*places), places

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
        name = dict(labels).get(METRIC_NAME)
        if not name:
            raise ExpositionError("missing metric name (__name__ label)")
        if not _are_valid(labels) or (
            self._options.legacy_names
            and not (is_legacy_metric_name(name) and all(is_legacy_label_name(label) for label, _ in labels))
        ):
            raise ExpositionError(f"invalid metric name or label names: {_shown(labels)}")
        if len(labels) > limits.LABELS_PER_SERIES_MAX:
            raise LabelLimitError(
                f"label_limit exceeded (metric: {name:.50}, number of labels: {len(labels)}, "
                f"limit: {limits.LABELS_PER_SERIES_MAX})"
            )
        if self._limited:
            self._check_limits(labels, name)

    def _check_limits(self, labels: Labels, metric: str) -> None:
        options = self._options
        if options.label_limit and len(labels) > options.label_limit:
            raise LabelLimitError(
                f"label_limit exceeded (metric: {metric:.50}, number of labels: {len(labels)}, "
                f"limit: {options.label_limit})"
            )
        for name, value in labels:
            size = len(name.encode())
            if options.label_name_length_limit and size > options.label_name_length_limit:
                raise LabelLimitError(
                    f"label_name_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, "
                    f"length: {size}, limit: {options.label_name_length_limit})"
                )
            size = len(value.encode())
            if options.label_value_length_limit and size > options.label_value_length_limit:
                raise LabelLimitError(
                    f"label_value_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, "
                    f"value: {go_quote(value[:50])}, length: {size}, limit: {options.label_value_length_limit})"
                )


def _are_valid(labels: Labels) -> bool:
    """Whether every label has a name, and everything is UTF-8."""
    if not labels[0][0]:  # they are sorted
        return False
    text = "".join(map("".join, labels))
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(labels: Labels) -> str:
    """Labels as Go prints a set: all of them in braces, the name too."""

    def raw(text: str) -> str:
        return go_quote(text)

    return "{" + ", ".join(f"{n if is_legacy_label_name(n) else raw(n)}={raw(v)}" for n, v in labels) + "}"


def _with_type_and_unit(pairs: Pairs, declared: FamilyDeclaration) -> Pairs:
    """What is declared becomes labels, over those that the target exposes under the names."""
    added: dict[str, str] = {}
    if declared.type not in ("", "unknown"):
        added[_TYPE_LABEL] = declared.type
    if declared.unit:
        added[_UNIT_LABEL] = declared.unit
    return (*(pair for pair in pairs if pair[0] not in added), *added.items())


def _normalise(pairs: Pairs, declared: FamilyDeclaration) -> Pairs:
    """`le` and `quantile` in OpenMetrics' float form below a type that says they are numbers."""
    if declared.type == "histogram":
        label = BUCKET_LABEL
    elif declared.type == "summary":
        label = QUANTILE_LABEL
    else:
        return pairs
    for index, (name, value) in enumerate(pairs):
        if name == label and (number := written_bound(value)) != value:
            pairs = (*pairs[:index], (name, number), *pairs[index + 1 :])
    return pairs
