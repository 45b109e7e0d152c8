"""A set of Alertmanagers: from what discovery found to addresses, and from alerts to what each of them is told."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from trimon.config.alerting import AlertmanagerConfig
from trimon.errors import UserError
from trimon.model.labels import Labels, labels_of
from trimon.model.relabel import Relabeling
from trimon.notify.message import AlertMessage
from trimon.records import dataclass
from trimon.redaction import REDACTOR, masked_url

_ADDRESS: Final = "__address__"
_SCHEME: Final = "__scheme__"
_PATH: Final = "__alerts_path__"
API_PATH: Final = "/api/v2/alerts"


@dataclass(frozen=True, slots=True)
class FoundAlertmanagers:
    """The URLs of a set, each once, and those that relabeling dropped."""

    active: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    """Why others have no URL."""


class AlertmanagerSet:
    """One entry of `alertmanagers`, compiled."""

    def __init__(self, config: AlertmanagerConfig) -> None:
        self.config = config
        self._relabeling = Relabeling(config.relabel_configs)
        self._alert_relabeling = Relabeling(config.alert_relabel_configs)

    def found(self, label_sets: Iterable[Mapping[str, str]]) -> FoundAlertmanagers:
        """The Alertmanagers of discovered label sets, in order."""
        active: dict[str, None] = {}
        dropped: list[str] = []
        errors: list[str] = []
        for discovered in label_sets:
            labels = {
                _SCHEME: self.config.scheme,
                _PATH: posixpath.normpath(
                    posixpath.join("/", self.config.path_prefix.lstrip("/"), API_PATH[1:])
                ),
                **{name: value for name, value in discovered.items() if value},
            }
            before = url_of(labels)
            if not self._relabeling.apply(labels):
                dropped.append(before)
                continue
            try:
                check_address(labels.get(_ADDRESS, ""))
            except UserError as error:
                errors.append(masked_url(error.message))
                continue
            url = url_of(labels)
            REDACTOR.add_url(url)
            active[url] = None
        return FoundAlertmanagers(tuple(active), tuple(dropped), tuple(errors))

    def told(self, messages: Sequence[AlertMessage]) -> list[AlertMessage]:
        """What this set is told of alerts."""
        return relabeled(messages, self._alert_relabeling)


def url_of(labels: Mapping[str, str]) -> str:
    """The URL that labels say."""
    return f"{labels.get(_SCHEME, '')}://{labels.get(_ADDRESS, '')}{labels.get(_PATH, '')}"


def check_address(address: str) -> None:
    """Raises UserError for what is no address."""
    if not address:
        raise UserError("no address")
    if "/" in address:
        raise UserError(f'"{address}" is not a valid hostname')


def relabeled(messages: Sequence[AlertMessage], relabeling: Relabeling) -> list[AlertMessage]:
    """Messages with rewritten labels; those that a rule dropped are left out."""
    if not relabeling:
        return list(messages)
    out = []
    for message in messages:
        labels = dict(message.labels)
        if relabeling.apply(labels):
            out.append(replace(message, labels=labels_of(labels)))
    return out


def with_external(messages: Sequence[AlertMessage], external: Labels) -> list[AlertMessage]:
    """Messages with the external labels that they lack."""
    if not external:
        return list(messages)
    return [
        replace(message, labels=labels_of({**dict(external), **dict(message.labels)})) for message in messages
    ]
