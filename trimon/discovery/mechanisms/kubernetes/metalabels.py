"""Labels of targets that come from objects. What is empty is left out: to relabeling it is the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from trimon.discovery.asking.naming import sanitized
from trimon.discovery.mechanisms.kubernetes.objects import Meta

PREFIX: Final = "__meta_kubernetes_"
NAMESPACE: Final = f"{PREFIX}namespace"
ADDRESS: Final = "__address__"
PRESENT: Final = "true"
# Names of labels that are kept: a cluster's objects have a few hundred between them, and each tens of thousands of times.
_NAMES_KEPT: Final = 32768


@lru_cache(_NAMES_KEPT)
def _names(prefix: str, key: str) -> tuple[str, str]:
    clean = sanitized(key)
    return f"{prefix}_{clean}", f"{prefix}present_{clean}"


def keyed_and_present(prefix: str, pairs: Mapping[str, str]) -> dict[str, str]:
    """For each key its value under `prefix_key`, and under `prefixpresent_key` that there is one."""
    found: dict[str, str] = {}
    for key, value in pairs.items():
        name, present = _names(prefix, key)
        found[present] = PRESENT
        if value:
            found[name] = value
    return found


def object_labels(kind: str, meta: Meta) -> dict[str, str]:
    """Name, labels and annotations of an object, under its kind."""
    return {
        f"{PREFIX}{kind}_name": meta.name,
        **keyed_and_present(f"{PREFIX}{kind}_label", meta.labels),
        **keyed_and_present(f"{PREFIX}{kind}_annotation", meta.annotations),
    }


def namespace_labels(meta: Meta) -> dict[str, str]:
    """Labels and annotations of a namespace; its name is a label of everything in it."""
    return {
        **keyed_and_present(f"{PREFIX}namespace_label", meta.labels),
        **keyed_and_present(f"{PREFIX}namespace_annotation", meta.annotations),
    }


def given(**labels: str) -> dict[str, str]:
    """Labels by the rest of their names, without the empty ones."""
    return {PREFIX + name: value for name, value in labels.items() if value}
