"""The section `trimon_query_backends`: engines that are asked for what is older than local samples. Ours, and optional."""

from __future__ import annotations

from typing import ClassVar, Final

from trimon.config.http import HttpClient
from trimon.config.kinds import DURATION, AnyUrl, Boolean, Text, one_of
from trimon.config.model import Model, Shown, setting
from trimon.config.secret import SecretUrl
from trimon.records import dataclass

DIALECTS: Final = ("prometheus", "metricsql")
_TIMEOUT_MS_MIN: Final = 100


@dataclass(frozen=True, kw_only=True)
class QueryBackendConfig(HttpClient, Model):
    """An engine with Prometheus' query API; with several the next one is asked when one fails."""

    yaml_type: ClassVar[str] = "config.QueryBackend"
    inherited_before: ClassVar[str] = "dialect"
    section: ClassVar[str] = "trimon_query_backends"

    name: str = setting(Text(), "")
    url: SecretUrl | None = setting(AnyUrl(), shown=Shown.ALWAYS)
    dialect: str = setting(
        Text(one_of(DIALECTS, "unknown dialect {}: prometheus or metricsql is wanted")), DIALECTS[0]
    )
    timeout: int = setting(DURATION, 60_000)
    filter_external_labels: bool = setting(Boolean(), default=True)

    def check(self) -> None:
        """There is a URL."""
        if self.url is None:
            raise self.refuse("url", "url for trimon_query_backends is empty")
        if self.timeout < _TIMEOUT_MS_MIN:
            raise self.refuse("timeout", "timeout must be at least 100ms")
        HttpClient.check(self)
