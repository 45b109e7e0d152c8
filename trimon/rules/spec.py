"""The specification of rule groups, from rule files, checked and with defaults filled in. Equal specs ask for the same."""

from __future__ import annotations

from dataclasses import field
from enum import Enum
from typing import TypeAlias

from trimon.query.language.options import QueryOptions
from trimon.records import dataclass

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, ascending by name."""


class OnNoData(Enum):
    """What becomes of alerts whose inputs have no data."""

    RESOLVE = "resolve"
    """They resolve, as in Prometheus."""
    KEEP = "keep"
    """They stay as they are."""
    ALERT = "alert"
    """They stay, and a selector that gives nothing at all is an alert itself."""


@dataclass(frozen=True, slots=True)
class RecordingSpec:
    """A recording rule. `labels` win over those of the result; an empty value removes the label."""

    record: str
    expr: str
    labels: Pairs = ()

    @property
    def name(self) -> str:
        """The metric that it writes."""
        return self.record


@dataclass(frozen=True, slots=True)
class AlertingSpec:
    """An alerting rule; values of `labels` and `annotations` are templates."""

    alert: str
    expr: str
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    labels: Pairs = ()
    annotations: Pairs = ()
    on_no_data: OnNoData = OnNoData.RESOLVE

    @property
    def name(self) -> str:
        """The label `alertname` of its alerts."""
        return self.alert


RuleSpec: TypeAlias = RecordingSpec | AlertingSpec


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """One group. Its identity is file and name."""

    file: str
    name: str
    interval_ms: int
    query_offset_ms: int = 0
    limit: int = 0
    rules: tuple[RuleSpec, ...] = ()
    catch_up: bool = True
    """Whether iterations that were missed without a server are evaluated after a start."""

    @property
    def key(self) -> str:
        """The identity, as Prometheus writes it in its metrics."""
        return f"{self.file};{self.name}"


@dataclass(frozen=True, slots=True)
class RuleDefaults:
    """What groups that say nothing get, and how expressions are parsed."""

    interval_ms: int = 60_000
    query_offset_ms: int = 0
    query: QueryOptions = field(default_factory=QueryOptions)
    ignore_unknown_fields: bool = False
    strict: bool = False
    """Whether fields are unknown that Prometheus does not have."""
