"""What the description of the API calls its operations: as Prometheus does, for clients that are made from it."""

from __future__ import annotations

import re
from typing import Final

# Each tag, what it is about, and the paths below which it holds; the longest path counts.
TAGS: Final = {
    "query": "Expressions: their values, and what they are.",
    "metadata": "What metrics are called and say of themselves.",
    "labels": "Names and values of labels.",
    "series": "Series by what their labels match.",
    "targets": "What is scraped.",
    "rules": "Recording and alerting rules.",
    "alerts": "Alerts, and who gets them.",
    "status": "The server and its configuration.",
    "admin": "Changes of what is stored.",
    "features": "What the server can do.",
    "remote": "Samples that other servers send.",
    "otlp": "OpenTelemetry.",
    "notifications": "What whoever runs the server should know.",
    "trimon": "What Prometheus does not have.",
}
_BELOW: Final = {
    "/query": "query",
    "/query_range": "query",
    "/query_exemplars": "query",
    "/format_query": "query",
    "/parse_query": "query",
    "/explain": "query",
    "/label": "labels",
    "/search/metric_names": "metadata",
    "/search": "labels",
    "/scrape_pools": "targets",
    "/alertmanagers": "alerts",
    "/write": "remote",
}
_IDS: Final = {
    "/label/{name}/values": "label-values",
    "/scrape_pools/config": "get-scrape-pool-config",
    "/write": "remoteWrite",
    "/otlp/v1/metrics": "otlpWrite",
}
# Their operations are called by path alone, and that of POST with it behind.
_PLAIN: Final = frozenset(
    {
        "/query",
        "/query_range",
        "/query_exemplars",
        "/format_query",
        "/parse_query",
        "/labels",
        "/search/metric_names",
        "/search/label_names",
        "/search/label_values",
        "/series",
        "/rules",
        "/alerts",
        "/alertmanagers",
        "/status/tsdb",
        "/status/tsdb/blocks",
        "/notifications/live",
    }
)
_ADMIN: Final = "/admin/tsdb/"


def tag_of(path: str) -> str:
    """The tag of a path below the API's prefix."""
    above = path
    while above:
        if above in _BELOW:
            return _BELOW[above]
        above = above.rpartition("/")[0]
    first = path.split("/")[1]
    return first if first in TAGS else "trimon"


def operation_id(path: str, method: str) -> str:
    """The name of an operation, which no other has."""
    method = method.lower()
    if path in _IDS:
        return _IDS[path]
    if path.startswith(_ADMIN):
        first, *others = path.removeprefix(_ADMIN).split("_")
        return "".join([first, *(word.capitalize() for word in others), method.capitalize()])
    words = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")
    if path not in _PLAIN:
        return f"{method}-{words}"
    return words if method == "get" else f"{words}-{method}"
