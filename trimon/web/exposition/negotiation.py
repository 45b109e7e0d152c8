"""Which format a client gets: what its Accept header prefers of text 0.0.4 and the three forms of protobuf."""

from __future__ import annotations

from typing import Final

from trimon.records import dataclass
from trimon.web.exposition.escaping import SCHEMES, UNDERSCORES
from trimon.web.exposition.families import Encoding
from trimon.web.exposition.protobuf import ProtobufEncoding
from trimon.web.exposition.prototext import PrototextEncoding
from trimon.web.exposition.text import TextEncoding

_PROTOBUF: Final = "application/vnd.google.protobuf"
_MESSAGE: Final = "io.prometheus.client.MetricFamily"
_TEXT_VERSIONS: Final = ("", "0.0.4", "1.0.0")
# A header of more is cut off; real ones have five.
_CLAUSES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class _Clause:
    """One media range of an Accept header."""

    media_type: str
    parameters: dict[str, str]
    weight: float

    @property
    def order(self) -> tuple[float, bool, bool]:
        """What sorts the most wanted first, and of those equally wanted the more exact ones."""
        kind, _, subkind = self.media_type.partition("/")
        return -self.weight, kind == "*", subkind == "*"


def _clauses(accept: str) -> list[_Clause]:
    found = []
    for text in accept.split(",", _CLAUSES_MAX)[:_CLAUSES_MAX]:
        media_type, *rest = (part.strip() for part in text.split(";"))
        parameters = {}
        for part in rest:
            name, _, value = part.partition("=")
            parameters[name.strip()] = value.strip().strip('"')
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 1.0
        if media_type:
            found.append(_Clause(media_type, parameters, weight))
    return sorted(found, key=lambda clause: clause.order)


def encoding_for(accept: str) -> Encoding:
    """How a client wants its families; text with underscores when it does not say what is known."""
    scheme = UNDERSCORES
    for clause in _clauses(accept):
        wanted = clause.parameters.get("escaping", "")
        scheme = wanted if wanted in SCHEMES else scheme
        if clause.media_type == _PROTOBUF and clause.parameters.get("proto") == _MESSAGE:
            match clause.parameters.get("encoding"):
                case "delimited":
                    return ProtobufEncoding(scheme)
                case "text":
                    return PrototextEncoding(scheme, compact=False)
                case "compact-text":
                    return PrototextEncoding(scheme, compact=True)
        if clause.media_type == "text/plain" and clause.parameters.get("version", "") in _TEXT_VERSIONS:
            break
    return TextEncoding(scheme)
