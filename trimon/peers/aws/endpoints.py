"""Where the services of AWS are asked: by region, or as the environment says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_DOMAIN: Final = "amazonaws.com"
# By how names of regions begin; a longer beginning first.
_DOMAINS: Final = (
    ("cn-", "amazonaws.com.cn"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
)


def endpoint_url(service: str, region: str, environment: Mapping[str, str], *, fips: bool = False) -> str:
    """The URL of a service in a region; the environment may name another one, for a service or for all."""
    named = environment.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environment.get("AWS_ENDPOINT_URL")
    if named:
        return named
    domain = next((domain for begin, domain in _DOMAINS if region.startswith(begin)), _DOMAIN)
    return f"https://{service}{'-fips' if fips else ''}.{region}.{domain}/"
