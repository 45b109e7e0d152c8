"""The templates of an alerting rule: its labels and annotations, expanded for one sample of the result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from trimon.gotext.values import STRING_MAP, Interface, Struct, Table, Value
from trimon.model.histogram import FloatHistogram
from trimon.records import dataclass
from trimon.templates.errors import TemplateError
from trimon.templates.functions.function import Calling, QueryFunction
from trimon.templates.functions.table import FUNCTIONS
from trimon.templates.output import readable
from trimon.templates.template import Template
from trimon.templates.types import ALERT_DATA, sample_value

PRELUDE: Final = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"
    "{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
# What shows a label of the series and nothing else.
_OF_SERIES: Final = re.compile(r"\{\{(?:- )?\s*(?:\$labels|\.Labels)\.\w+\s*(?: -)?\}\}")


@dataclass(frozen=True, slots=True)
class AlertData:
    """What the templates of an alert see: the sample without its name, and the server."""

    labels: Mapping[str, str]
    value: float | FloatHistogram
    external_labels: Mapping[str, str]
    external_url: str

    def as_value(self) -> Value:
        """The dot of the template."""
        fields = (
            Table(STRING_MAP, self.labels),
            Table(STRING_MAP, self.external_labels),
            self.external_url,
            Interface(sample_value(self.value)),
        )
        return Struct(ALERT_DATA, fields)


@dataclass(frozen=True, slots=True)
class Expanded:
    """The texts of one alert by name, in the order of the rule; each error is in the text of its name too."""

    labels: dict[str, str]
    annotations: dict[str, str]
    errors: tuple[TemplateError, ...] = ()


class AlertTemplate:
    """One template of an alert."""

    def __init__(self, alert: str, text: str) -> None:
        """Parses the text. Raises TemplateError, whose message names the template `__alert_<alert>`."""
        self.text = text
        self._name = f"__alert_{alert}"
        # Most labels and many annotations are plain text.
        self._template = Template(self._name, PRELUDE + text, FUNCTIONS) if "{{" in text else None

    @property
    def plain(self) -> bool:
        """Whether it is the same text for all alerts."""
        return self._template is None

    def expand(self, data: AlertData, query: QueryFunction, time_ms: int) -> str:
        """The text for an alert. Raises TemplateError; blocks where `query` does."""
        if self._template is None:
            return self.text
        calling = Calling(query, time_ms, data.external_url)
        try:
            return readable(self._template.execute(data.as_value(), calling))
        except TemplateError as error:
            message = f"error executing template {self._name}: {error.message}"
            raise TemplateError(message, error.position) from None


class AlertTemplates:
    """All templates of an alerting rule; compiled once, in any thread expanded often."""

    def __init__(
        self, alert: str, labels: Iterable[tuple[str, str]], annotations: Iterable[tuple[str, str]]
    ) -> None:
        """Parses the texts. Raises TemplateError with a message that names the label or annotation."""
        self._labels = _compiled("label", alert, labels)
        self._annotations = _compiled("annotation", alert, annotations)

    def expand(self, data: AlertData, query: QueryFunction, time_ms: int) -> Expanded:
        """The texts of an alert; where a template fails, its text is the error, as Prometheus shows it."""
        errors: list[TemplateError] = []
        labels = _texts(self._labels, data, query, time_ms, errors)
        annotations = _texts(self._annotations, data, query, time_ms, errors)
        return Expanded(labels, annotations, tuple(errors))

    def expand_labels(self, data: AlertData, query: QueryFunction, time_ms: int) -> dict[str, str]:
        """The texts of the labels alone."""
        return _texts(self._labels, data, query, time_ms, [])

    @property
    def labels_are_fixed(self) -> bool:
        """Whether the labels of an alert follow from those of its series, whatever its value and the time."""
        return all("{{" not in _OF_SERIES.sub("", template.text) for template in self._labels.values())


def _texts(
    templates: Mapping[str, AlertTemplate],
    data: AlertData,
    query: QueryFunction,
    time_ms: int,
    errors: list[TemplateError],
) -> dict[str, str]:
    found = {}
    for name, template in templates.items():
        try:
            found[name] = template.expand(data, query, time_ms)
        except TemplateError as error:
            errors.append(error)
            found[name] = readable(failure_text(error))
    return found


def failure_text(error: TemplateError) -> str:
    """What stands in the place of a text that could not be expanded."""
    return f"<error expanding template: {error.message}>"


def _compiled(kind: str, alert: str, texts: Iterable[tuple[str, str]]) -> dict[str, AlertTemplate]:
    found = {}
    for name, text in texts:
        try:
            found[name] = AlertTemplate(alert, text)
        except TemplateError as error:
            raise TemplateError(f'{kind} "{name}": {error.message}', error.position) from None
    return found
