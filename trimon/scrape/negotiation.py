"""From the Content-Type of an answer to the format it is read with."""

from __future__ import annotations

from trimon.scrape.exposition import ParseError, TextFormat
from trimon.scrape.openmetrics import OpenMetricsFormat

TextFormats = type[TextFormat] | type[OpenMetricsFormat]

_BY_MEDIA_TYPE: dict[str, TextFormats] = {
    "text/plain": TextFormat,
    "application/openmetrics-text": OpenMetricsFormat,
}


def choose_format(content_type: str, fallback_protocol: str) -> TextFormats:
    """The format for a Content-Type; the fallback decides when that is blank or unknown. Raises ParseError."""
    media_type = content_type.partition(";")[0].strip().lower()
    found = _BY_MEDIA_TYPE.get(media_type)
    if found is not None:
        return found
    if fallback_protocol:
        return OpenMetricsFormat if fallback_protocol.startswith("OpenMetrics") else TextFormat
    if not content_type:
        raise ParseError(
            "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
            "specified for target"
        )
    if "/" not in media_type:
        raise ParseError(
            f'cannot parse Content-Type "{content_type}" and no fallback_scrape_protocol for target'
        )
    raise ParseError(
        f'received unsupported Content-Type "{content_type}" and no fallback_scrape_protocol specified for target'
    )
