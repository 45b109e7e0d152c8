"""The labels of series: of what a resource, a scope, a metric and a data point say."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from trimon.config.otlp import OtlpConfig
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.model.labellimits import checked
from trimon.model.labels import (
    INSTANCE_LABEL,
    JOB_LABEL,
    METRIC_NAME,
    TYPE_LABEL,
    UNIT_LABEL,
    Labels,
)
from trimon.records import dataclass
from trimon.remote.otlp.names import Namer, Unit
from trimon.remote.otlp.values import Attributes

_NAME: Final = "service.name"
_NAMESPACE: Final = "service.namespace"
_INSTANCE: Final = "service.instance.id"
IDENTIFYING: Final = (_NAMESPACE, _NAME, _INSTANCE)
TARGET_INFO: Final = "target_info"
_SCOPE: Final = "otel_scope_"


@dataclass(frozen=True, slots=True)
class Options:
    """What the configuration, flags and features make of a request."""

    config: OtlpConfig = field(default_factory=OtlpConfig)
    lookback_ms: int = 300_000
    type_and_unit_labels: bool = False
    starts_as_zeros: bool = False
    """Whether the start of a cumulative series puts a sample of 0 there."""
    deltas_summed: bool = False
    """Whether deltas become cumulative."""
    deltas_kept: bool = False
    """Whether deltas are stored as they are."""


class Resource:
    """What one resource says: labels of its series, and its `target_info`."""

    def __init__(self, attributes: Attributes, options: Options, namer: Namer) -> None:
        config = options.config
        known = dict(reversed(attributes))  # of several the first counts
        self._namer = namer
        namespace = f"{known[_NAMESPACE]}/" if _NAMESPACE in known else ""
        said = {
            JOB_LABEL: namespace + known[_NAME] if _NAME in known else "",
            INSTANCE_LABEL: known.get(_INSTANCE, ""),
        }
        # An empty one says nothing, and must not take away what a data point says.
        self.identity = {name: value for name, value in said.items() if value}
        self.promoted: dict[str, str] = {}
        for key, value in attributes:
            if config.promote_all_resource_attributes:
                promoted = key not in config.ignore_resource_attributes
            else:
                promoted = key in config.promote_resource_attributes
            if promoted:
                self.promoted[namer.label(key)] = value
        self.target_info = self._target_info(attributes, config)

    def _target_info(self, attributes: Attributes, config: OtlpConfig) -> Labels | None:
        """None where it would say nothing that the series do not, or could not be joined with them."""
        keys = {key for key, _ in attributes}
        others = [pair for pair in attributes if pair[0] not in IDENTIFYING]
        # One that identifies and is there twice counts as another, as in Prometheus.
        if len(attributes) == len(keys.intersection(IDENTIFYING)):
            return None
        shown = attributes if config.keep_identifying_resource_attributes else others
        labels = merged_attributes(shown, self._namer)
        labels |= self.identity
        if not labels.get(JOB_LABEL) and not labels.get(INSTANCE_LABEL):
            return None
        labels[METRIC_NAME] = TARGET_INFO
        return checked(labels)


@dataclass(frozen=True, slots=True)
class Scope:
    """What one instrumentation scope says."""

    labels: dict[str, str]

    @classmethod
    def of(
        cls, name: str, version: str, schema_url: str, attributes: Attributes, options: Options, namer: Namer
    ) -> Scope:
        """Labels only where they are promoted, and the scope has a name."""
        if not options.config.promote_scope_metadata or not name:
            return cls({})
        labels = {namer.label(_SCOPE + key): value for key, value in attributes}
        labels[f"{_SCOPE}name"] = name
        labels[f"{_SCOPE}version"] = version
        labels[f"{_SCOPE}schema_url"] = schema_url
        return cls(labels)


def merged_attributes(attributes: Attributes, namer: Namer) -> dict[str, str]:
    """The labels of attributes: those that become one get all values, in the order of their keys.

    Without escaping a key that is there twice is one whose label is left out where a value is empty. Raises UserError for a
    key of which no name is left, and for one that is there twice and cannot be merged.
    """
    labels: dict[str, str] = {}
    for key, value in sorted(attributes, key=lambda pair: pair[0]):
        name = namer.label(key)
        before = labels.get(name)
        if before is None:
            labels[name] = value
        elif namer.escapes:
            labels[name] = f"{before};{value}" if before else value
        else:
            _refuse_twice(name, attributes)
            labels[name] = ""
    return labels


def _refuse_twice(name: str, attributes: Attributes) -> None:
    """Raises UserError where an attribute is there twice, and none of its values is empty."""
    if all(value for key, value in attributes if key == name):
        raise UserError(f"label name {go_quote(name)} is not unique: invalid sample")


def point_labels(
    attributes: Attributes, resource: Resource, scope: Scope, said: dict[str, str], namer: Namer
) -> dict[str, str]:
    """The labels of a data point but for its name; `said` are type and unit. Raises UserError."""
    labels = merged_attributes(attributes, namer)
    for name, value in resource.promoted.items():
        if not labels.get(name):
            labels[name] = value
    labels |= scope.labels
    labels |= said
    labels |= resource.identity
    return labels


def type_and_unit(kind: str, unit: str, options: Options, namer: Namer) -> dict[str, str]:
    """The labels of type and unit, where they are asked for."""
    if not options.type_and_unit_labels:
        return {}
    said = {} if kind == "unknown" else {TYPE_LABEL: kind}
    shown = Unit.of(unit).label(escapes=namer.escapes)
    return {**said, UNIT_LABEL: shown} if shown else said
