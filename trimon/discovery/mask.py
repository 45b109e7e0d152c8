"""Labels on their way out: the values of those that look like secrets are masked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trimon.config.secret import MASK, looks_secret, masked_url
from trimon.model.labels import Labels
from trimon.redaction import shown_url

# Labels that relabeling removes before storage; the rest are on every sample and no secret any more.
_ADDRESS: Final = "__address__"
_HIDDEN: Final = ("__meta_", "__param_", "__tmp")


class LabelMask:
    """Decides once per label name. A discovery may name further labels in `secret_labels`."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._secret: dict[str, bool] = dict.fromkeys(names, True)

    def add(self, names: Iterable[str]) -> None:
        """Mask these names too."""
        self._secret.update(dict.fromkeys(names, True))

    def is_secret(self, name: str) -> bool:
        """Whether the value of a label is masked."""
        known = self._secret.get(name)
        if known is None:
            known = name.startswith(_HIDDEN) and looks_secret(name)
            if len(self._secret) < 100_000:
                self._secret[name] = known
        return known

    def labels(self, labels: Labels) -> Labels:
        """A label set for people and clients; the same object when there is nothing to mask."""
        known = self._secret
        for name, value in labels:
            secret = known.get(name)
            if secret is None:
                secret = self.is_secret(name)
            if secret or "@" in value or "?" in value:
                break
        else:
            return labels
        return tuple((name, self._shown(name, value)) for name, value in labels)

    def mapping(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The same for a mapping."""
        return {name: self._shown(name, value) for name, value in labels.items()}

    def _shown(self, name: str, value: str) -> str:
        if self.is_secret(name) and value:
            return MASK
        if "://" in value:
            return shown_url(value)
        return masked_url(value) if name == _ADDRESS else value
