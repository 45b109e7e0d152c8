"""From the Content-Type of an answer to the format it is read with."""

from __future__ import annotations

import re
from functools import lru_cache

from trimon.errors import UserError
from trimon.gotext.strings import go_quote_bytes
from trimon.scrape.exposition.openmetrics import OpenMetricsFormat
from trimon.scrape.exposition.records import ExpositionError
from trimon.scrape.exposition.textformat import TextFormat


class ProtobufFormat:
    """Metric families in protobuf, each after its length."""


BodyFormat = type[TextFormat] | type[OpenMetricsFormat] | type[ProtobufFormat]

_BY_MEDIA_TYPE: dict[str, BodyFormat] = {
    "text/plain": TextFormat,
    "application/openmetrics-text": OpenMetricsFormat,
    "application/vnd.google.protobuf": ProtobufFormat,
}
# What any exporter says has a tenth of it.
CONTENT_TYPE_CHARACTERS_MAX = 2048
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z{}-]+")
_PARAMETER = re.compile(
    r";\s*([!#$%&'*+.^_`|~0-9A-Za-z{}-]+)\s*=\s*(?:[!#$%&'*+.^_`|~0-9A-Za-z{}-]+|\"(?:[^\"\\\r\n]|\\.)*\")\s*"
)


def media_type_of(content_type: str) -> str:
    """The media type in lower case; the parameters must be well-formed. Raises UserError with Go's wording."""
    if len(content_type) > CONTENT_TYPE_CHARACTERS_MAX:
        raise UserError(f"mime: more than {CONTENT_TYPE_CHARACTERS_MAX} characters")
    media_type, separator, _ = content_type.partition(";")
    media_type = media_type.strip().lower()
    kind = _TOKEN.match(media_type)
    if kind is None:
        raise UserError("mime: no media type")
    if kind.end() < len(media_type):
        if media_type[kind.end()] != "/":
            raise UserError("mime: expected slash after first token")
        subtype = _TOKEN.match(media_type, kind.end() + 1)
        if subtype is None:
            raise UserError("mime: expected token after slash")
        if subtype.end() < len(media_type):
            raise UserError("mime: unexpected content after media subtype")
    if separator:
        _check_parameters(content_type[content_type.index(";") :].strip())
    return media_type


def _check_parameters(text: str) -> None:
    names: set[str] = set()
    place = 0
    while place < len(text) and text[place:].strip() != ";":
        match = _PARAMETER.match(text, place)
        if match is None:
            raise UserError("mime: invalid media parameter")
        name = match[1].lower()
        if name in names:
            raise UserError("mime: duplicate parameter name")
        names.add(name)
        place = match.end()


# Targets say the same thing each time, and most of them what the others say.
@lru_cache(maxsize=256)
def choose_format(content_type: str, fallback_protocol: str) -> BodyFormat:
    """The format for a Content-Type; the fallback decides when that is blank or unknown. Raises ExpositionError."""
    shown = go_quote_bytes(content_type.encode("latin-1", "replace"))
    if not content_type:
        why = "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
        return _fallback(fallback_protocol, why)
    try:
        media_type = media_type_of(content_type)
    except UserError as error:
        why = f"cannot parse Content-Type {shown} and no fallback_scrape_protocol for target\n{error.message}"
        return _fallback(fallback_protocol, why)
    found = _BY_MEDIA_TYPE.get(media_type)
    if found is not None:
        return found
    why = f"received unsupported Content-Type {shown} and no fallback_scrape_protocol specified for target"
    return _fallback(fallback_protocol, why)


def _fallback(protocol: str, why: str) -> BodyFormat:
    if not protocol:
        raise ExpositionError(why)
    if protocol == "PrometheusProto":
        return ProtobufFormat
    return OpenMetricsFormat if protocol.startswith("OpenMetrics") else TextFormat
