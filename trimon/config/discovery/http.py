"""`http_sd_configs` and `puppetdb_sd_configs`: targets that a server lists at a URL."""

from __future__ import annotations

from typing import ClassVar

from trimon.config.discovery.source import SdConfig
from trimon.config.http import NO_URL, HttpClient
from trimon.config.kinds import DURATION, AnyUrl, Boolean, Text, Whole
from trimon.config.model import Shown, setting
from trimon.config.secret import SecretUrl
from trimon.gotext.urls import scheme_and_host
from trimon.records import dataclass


def _refuse_url(model: HttpSdConfig | PuppetDbSdConfig) -> None:
    """Raise UserError for anything but a whole URL of the web."""
    if not model.url:
        raise model.refuse("url", "URL is missing")
    scheme, host = scheme_and_host(model.url.reveal())
    if scheme not in ("http", "https"):
        raise model.refuse("url", "URL scheme must be 'http' or 'https'")
    if not host:
        raise model.refuse("url", "host is missing in URL")


@dataclass(frozen=True, kw_only=True)
class HttpSdConfig(HttpClient, SdConfig):
    """Groups of targets in JSON."""

    yaml_type: ClassVar[str] = "http.plain"

    refresh_interval: int = setting(DURATION, 60_000)
    url: SecretUrl = setting(AnyUrl(), NO_URL, shown=Shown.ALWAYS)

    def check(self) -> None:
        """The URL is a whole one."""
        _refuse_url(self)
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class PuppetDbSdConfig(HttpClient, SdConfig):
    """Resources that a query of PuppetDB finds."""

    yaml_type: ClassVar[str] = "puppetdb.plain"

    refresh_interval: int = setting(DURATION, 60_000)
    url: SecretUrl = setting(AnyUrl(), NO_URL, shown=Shown.ALWAYS)
    query: str = setting(Text(), "")
    include_parameters: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)

    def check(self) -> None:
        """The URL is a whole one, and there is a query."""
        _refuse_url(self)
        if not self.query:
            raise self.refuse("query", "query missing")
        HttpClient.check(self)
