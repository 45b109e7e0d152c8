"""Resources that a query of PuppetDB finds (`puppetdb_sd_configs`).

Source: https://www.puppet.com/docs/puppetdb/latest/api/query/v4/resources. Labels `__meta_puppetdb_`: `query`, `certname`,
`resource`, `type`, `title`, `exported`, `tags`, `file`, `environment`, and `parameter_*` where they are wanted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from trimon.config.discovery.http import PuppetDbSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, refuse_unless_json
from trimon.discovery.asking.naming import host_port, sanitized, surrounded
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.mechanisms.fields import flag_text, texts
from trimon.discovery.plugin import Context, TargetGroup
from trimon.gotext.floats import format_g
from trimon.gotext.strings import go_json

PREFIX: Final = "__meta_puppetdb_"
PARAMETERS_DEPTH_MAX: Final = 32

_TEXTS: Final = {name: name for name in ("certname", "resource", "type", "title", "file", "environment")}
_HEADERS: Final = (("Accept", "application/json"), ("Content-Type", "application/json"))


class PuppetDbDiscovery(RefreshDiscovery):
    """Sends the query; one group."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, PuppetDbSdConfig)
        interval_s = config.refresh_interval / 1000
        super().__init__(context, interval_s)
        self._api = Api(context, interval_s)
        url = urlsplit(config.url.reveal())
        self._url = url._replace(path=url.path.rstrip("/") + "/pdb/query/v4").geturl()
        asked = json.dumps({"query": config.query}, ensure_ascii=False, separators=(",", ":"))
        self._asked = go_json(asked.encode())

    async def refresh(self) -> list[TargetGroup]:
        """All resources that the query finds."""
        answer = await self._api.ok(self._url, _HEADERS, method="POST", body=self._asked)
        refuse_unless_json(answer)
        targets = await self._api.read(answer, self._targets)
        return [TargetGroup(f"{self._url}?query={self._config.query}", targets)]

    def _targets(self, body: bytes) -> list[dict[str, str]]:
        return [self._target(resource) for resource in Record.list_of_json(body)]

    def _target(self, resource: Record) -> dict[str, str]:
        tags = resource.texts("tags")
        parameters = resource.record("parameters")
        return {
            **texts(resource, PREFIX, _TEXTS),
            "__address__": host_port(resource.text("certname"), self._config.port),
            PREFIX + "query": self._config.query,
            PREFIX + "exported": flag_text(resource.flag("exported")),
            **({PREFIX + "tags": surrounded(tags)} if tags else {}),
            **(_parameters(parameters, PREFIX + "parameter_") if self._config.include_parameters else {}),
        }


def _parameters(parameters: Record, prefix: str, depth: int = 0) -> dict[str, str]:
    """A label for each parameter, those inside others with both names; lists are joined, and not surrounded."""
    if depth > PARAMETERS_DEPTH_MAX:
        raise SourceError(f"parameters are nested deeper than {PARAMETERS_DEPTH_MAX}")
    labels: dict[str, str] = {}
    for name in parameters.keys():  # noqa: SIM118 # a record is no mapping
        value = parameters.raw(name)
        if isinstance(value, dict):
            labels |= _parameters(parameters.record(name), f"{prefix}{sanitized(name)}_", depth + 1)
            continue
        shown = ",".join(map(_shown, value)) if isinstance(value, list) else _shown(value)
        if shown:
            labels[prefix + sanitized(name)] = shown
    return labels


def _shown(value: object) -> str:
    """A value of a parameter; empty for what has parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return flag_text(value)
    if isinstance(value, int | float):
        try:
            return format_g(float(value))
        except OverflowError:
            raise SourceError("a parameter is a number that is too large") from None
    return ""
