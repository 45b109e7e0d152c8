"""Limits of the labels of one series, whoever sends it."""

from __future__ import annotations

from collections.abc import Mapping

from trimon import limits
from trimon.errors import UserError
from trimon.model.labels import Labels, labels_of


class LabelLimit(UserError):
    """Labels beyond one of the limits."""


def checked(labels: Mapping[str, str]) -> Labels:
    """The labels of a series. Raises LabelLimit."""
    found = labels_of(labels)
    if len(found) > limits.LABELS_PER_SERIES_MAX:
        raise LabelLimit(
            f"{len(found)} labels in a series, and at most {limits.LABELS_PER_SERIES_MAX} may be"
        )
    check_texts(found)
    return found


def check_texts(labels: Labels) -> None:
    """Raises LabelLimit for a name or a value that is too long."""
    for name, value in labels:
        if len(name) > limits.LABEL_NAME_BYTES_MAX:
            raise LabelLimit(
                f"more than {limits.LABEL_NAME_BYTES_MAX} characters in label name {name[:50]!r}"
            )
        if len(value) > limits.LABEL_VALUE_BYTES_MAX:
            raise LabelLimit(
                f"more than {limits.LABEL_VALUE_BYTES_MAX} characters in the value of label {name[:50]!r}"
            )
