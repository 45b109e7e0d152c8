"""Groups of targets that a server lists at a URL (`http_sd_configs`).

Source: https://prometheus.io/docs/prometheus/latest/http_sd/. Labels: `__meta_url`, and what the server gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimon.config.discovery.http import HttpSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, refuse_unless_json
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.plugin import Context, TargetGroup
from trimon.discovery.targetfile import groups_from_json
from trimon.errors import UserError
from trimon.redaction import shown_url

URL_LABEL: Final = "__meta_url"


class HttpDiscovery(RefreshDiscovery):
    """Asks for the list; the source of a group is the URL and the group's place."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config_option(options, HttpSdConfig)
        interval_s = self._config.refresh_interval / 1000
        super().__init__(context, interval_s)
        self._api = Api(context, interval_s)
        self._url = self._config.url.reveal()
        self._headers = (
            ("Accept", "application/json"),
            ("X-Prometheus-Refresh-Interval-Seconds", f"{interval_s:f}".rstrip("0").rstrip(".")),
        )

    async def refresh(self) -> list[TargetGroup]:
        """All groups of the list."""
        answer = await self._api.ok(self._url, self._headers)
        refuse_unless_json(answer)
        return await self._api.read(answer, self._groups)

    def _groups(self, body: bytes) -> list[TargetGroup]:
        shown = shown_url(self._url)
        try:
            found = groups_from_json(body.decode("utf-8", "replace"), shown)
        except UserError as error:
            raise SourceError(str(error)) from None
        return [
            TargetGroup.of_addresses(f"{self._url}:{index}", targets, {**labels, URL_LABEL: self._url})
            for index, (targets, labels) in enumerate(found)
        ]
