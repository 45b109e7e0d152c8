"""Labels that a client has masked, as this server gave them to it, and the true ones that rules have to run over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.redaction import MASK, SECRET_CHARACTERS_MIN, URL_MASK, secrets_in_url

UNKNOWN: Final = (
    "labels are masked and no target of the scrape pool has them: the rules ran over the masked values"
)
AMBIGUOUS: Final = "labels are masked and several targets have them: the rules ran over those of the first"


@dataclass(frozen=True, slots=True)
class TrueLabels:
    """Labels to run rules over, and how to show what comes out."""

    labels: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """What was masked, and is masked wherever a rule puts it."""

    def shown(self, labels: Labels, mask: Callable[[Labels], Labels]) -> dict[str, str]:
        """Labels that rules made, for people."""
        if not self.secrets:
            return dict(labels)
        return {name: self._masked(value) for name, value in mask(labels)}

    def _masked(self, value: str) -> str:
        for secret in self.secrets:
            # A short one is no more than a coincidence within a longer text.
            if value == secret or len(secret) >= SECRET_CHARACTERS_MIN:
                value = value.replace(secret, MASK)
        return value


def true_labels(
    given: Mapping[str, str], discovered: Iterable[Labels], mask: Callable[[Labels], Labels]
) -> TrueLabels:
    """The labels of the target that is shown like that; those that were given where nothing in them is masked.

    It looks at all targets: for a thread.
    """
    if not any(MASK in value or URL_MASK in value for value in given.values()):
        return TrueLabels(given)
    wanted = tuple(sorted(given.items()))
    names = [name for name, _ in wanted]
    plain = {pair for pair in wanted if MASK not in pair[1] and URL_MASK not in pair[1]}
    found = [
        labels
        for labels in discovered
        if len(labels) == len(names) and plain.issubset(labels) and tuple(sorted(mask(labels))) == wanted
    ]
    if not found:
        return TrueLabels(given, (UNKNOWN,))
    secrets: list[str] = []
    for name, value in found[0]:
        if value != given[name]:
            secrets += secrets_in_url(value) if "://" in value else (value,)
    warnings = (AMBIGUOUS,) if len(set(found)) > 1 else ()
    return TrueLabels(dict(found[0]), warnings, tuple(sorted(filter(None, secrets), key=len, reverse=True)))
