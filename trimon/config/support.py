"""What of prometheus.yml this version of trimon does not do yet. Supporting a field is deleting its line here.

A field listed here may stand in a file as long as it is empty, false or zero: then it asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimon.errors import Position, UserError

_MECHANISMS: Final = (
    "aws",
    "azure",
    "consul",
    "digitalocean",
    "dns",
    "docker",
    "dockerswarm",
    "ec2",
    "eureka",
    "gce",
    "hetzner",
    "http",
    "ionos",
    "kubernetes",
    "kuma",
    "lightsail",
    "linode",
    "marathon",
    "nerve",
    "nomad",
    "oci",
    "openstack",
    "outscale",
    "ovhcloud",
    "puppetdb",
    "scaleway",
    "serverset",
    "stackit",
    "triton",
    "uyuni",
    "vultr",
)

UNSUPPORTED: Final[Mapping[str, tuple[str, ...]]] = {
    "config": (
        "alerting",
        "remote_write",
        "remote_read",
        "tracing",
        "otlp",
    ),
    "global": (
        "scrape_native_histograms",
        "convert_classic_histograms_to_nhcb",
        "always_scrape_classic_histograms",
    ),
    "scrape": (
        "scrape_native_histograms",
        "convert_classic_histograms_to_nhcb",
        "always_scrape_classic_histograms",
        "native_histogram_bucket_limit",
        "native_histogram_min_bucket_factor",
        "oauth2",
        "proxy_from_environment",
        "proxy_connect_header",
        *(f"{mechanism}_sd_configs" for mechanism in _MECHANISMS),
    ),
    "storage.tsdb": (
        "stale_series_compaction_threshold",
        "chunk_encoding",
    ),
    "web": ("rate_limit",),
    "web.tls_server_config": (
        "client_allowed_sans",
        "curve_preferences",
    ),
}

UNSUPPORTED_PROTOCOLS: Final = ("PrometheusProto",)


def _empty(value: object) -> bool:
    """Whether a value asks for nothing, also one that is made of such values."""
    if isinstance(value, Mapping):
        return all(map(_empty, value.values()))
    if isinstance(value, list):
        return all(map(_empty, value))
    return value in (None, "", False, 0)


def refuse_unsupported(name: str, value: object, place: Position) -> None:
    """Raise UserError when a field of the table asks for something."""
    if not _empty(value):
        raise UserError(f"field {name} is not supported by this version of trimon", place)
