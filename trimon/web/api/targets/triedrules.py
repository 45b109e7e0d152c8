"""Relabeling rules that somebody tries, as a request has them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trimon.config.kinds import Listed, Of
from trimon.config.model import Source
from trimon.config.relabel import RelabelConfig
from trimon.config.yaml.tree import Document
from trimon.errors import UserError
from trimon.limits import LABEL_VALUE_BYTES_MAX
from trimon.web.http.multidict import MultiDict

# Of what tried rules make of labels: as long as a label may be that is stored, and an answer that can be read.
LABEL_CHARACTERS_MAX: Final = LABEL_VALUE_BYTES_MAX
ANSWER_CHARACTERS_MAX: Final = 16 * 2**20
RULES_CHARACTERS_MAX: Final = 256 * 1024
_RULES: Final = Listed(Of(RelabelConfig), "[]*relabel.Config", "empty or null relabeling rule")


def tried_rules(values: MultiDict[str, str], name: str, *, legacy: bool) -> tuple[RelabelConfig, ...]:
    """The rules of a parameter, a YAML list as in a configuration. In a thread. Raises UserError."""
    text = values[name]
    if len(text) > RULES_CHARACTERS_MAX:
        raise UserError(f"{name} has {len(text)} characters; at most {RULES_CHARACTERS_MAX} are taken")
    document = Document(text, name)
    found: tuple[RelabelConfig, ...] = ()
    if document.root is not None:
        found = _RULES.read(document.root, Source(document, Path()))
    for rule in found:
        rule.validate(legacy=legacy)
    return found
