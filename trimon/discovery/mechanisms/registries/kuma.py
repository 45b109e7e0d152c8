"""Data planes of the Kuma service mesh (`kuma_sd_configs`), by long polls of its monitoring assignments.

Source: https://kuma.io/docs/latest/policies/meshmetric/ and https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol,
"REST-JSON polling". Labels: `instance`, `__scheme__`, `__metrics_path__`; `__meta_kuma_`: `mesh`, `dataplane`, `service`,
`label_*`, where a label of the assignment wins over that of a target.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

import trio

from trimon.config.discovery.registries import KumaSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, refused
from trimon.discovery.asking.naming import keyed_labels
from trimon.discovery.asking.record import ExactRecord, Record, SourceError
from trimon.discovery.asking.refresh import TROUBLE, Retries, SourceStats, publish
from trimon.discovery.plugin import Context, Sink, TargetGroup
from trimon.units import format_duration

PREFIX: Final = "__meta_kuma_"
SOURCE: Final = "kuma"
TYPE: Final = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"
CLIENT_DEFAULT: Final = "prometheus"
# What the way takes, above the time that the server may wait.
ANSWER_S: Final = 15.0
_HEADERS: Final = (("Accept", "application/json"), ("Content-Type", "application/json"))


class KumaDiscovery:
    """Asks for what differs from the version it has; the server answers when there is something, or that there is nothing.

    Owns: the version and the nonce of the last answer that was used. Receives: all assignments. Sends: one group, when the
    version is another. Crashes when: never because of the server; it asks again. On restart: the first answer is complete.
    """

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, KumaSdConfig)
        self._context = context
        self._interval_s = config.refresh_interval / 1000
        self._api = Api(context, config.fetch_timeout / 1000 + ANSWER_S)
        url = urlsplit(config.server.reveal())
        self._url = url._replace(
            path=url.path.rstrip("/") + "/v3/discovery:monitoringassignments",
            query=urlencode({"fetch-timeout": format_duration(config.fetch_timeout)}),
        ).geturl()
        self.stats = SourceStats()
        self._version = self._nonce = ""

    async def run(self, sink: Sink) -> None:
        """Ask, publish, ask again; for ever."""
        self._version = self._nonce = ""
        client = self._config.client_id or await self._context.offload.run(_host_name)
        retries = Retries(self._interval_s)
        while True:
            began_s = trio.current_time()
            self.stats.refreshes += 1
            try:
                await self._ask(client, sink)
            except TROUBLE as error:
                self.stats.counts["fetch_failures"] += 1
                self.stats.failed(error, self._context.clock.now_ms())
                self._context.log.error("Error fetching from Kuma", err=self.stats.last_error)
                await trio.sleep(retries.delay_s(error))
            else:
                retries.succeeded()
                self.stats.succeeded(self._context.clock.now_ms())
                await trio.sleep_until(max(began_s + self._interval_s, trio.current_time()))
            finally:
                self.stats.refresh_s += trio.current_time() - began_s

    async def _ask(self, client: str, sink: Sink) -> None:
        answer = await self._api.send(self._url, _HEADERS, method="POST", body=self._request(client))
        if answer.status == 304:
            self.stats.counts["fetch_skipped_updates"] += 1
            return
        if answer.status != 200:
            raise refused(answer, self._context.clock)
        said, targets = await self._api.read(answer, _read)
        await publish(sink, self._context, [TargetGroup(SOURCE, targets)])
        # Only now: what could not be used is asked for again.
        self._version, self._nonce = _either(said, "version_info", "versionInfo"), said.text("nonce")

    def _request(self, client: str) -> bytes:
        request: dict[str, object] = {
            "version_info": self._version,
            "node": {"id": client},
            "type_url": TYPE,
            "response_nonce": self._nonce,
        }
        present = {name: value for name, value in request.items() if value}
        return json.dumps(present, separators=(", ", ":"), ensure_ascii=False).encode()

    def inspect(self) -> Mapping[str, object]:
        """The figures of asking, and which version is known."""
        return {**self.stats.shown(), "version": self._version[:100]}


def _host_name() -> str:
    """What this machine is called, with its domain. Blocks."""
    return socket.getfqdn() or CLIENT_DEFAULT


def _read(body: bytes) -> tuple[Record, list[dict[str, str]]]:
    said = ExactRecord.of_json(body)
    _refuse_type(_either(said, "type_url", "typeUrl"))
    return said, [target for assignment in said.records("resources") for target in _targets(assignment)]


def _targets(assignment: Record) -> list[dict[str, str]]:
    _refuse_type(assignment.text("@type"))
    common = {
        **_labels(assignment),
        PREFIX + "mesh": assignment.text("mesh"),
        PREFIX + "service": assignment.text("service"),
    }
    return [{**_target(target), **common} for target in assignment.records("targets")]


def _target(target: Record) -> dict[str, str]:
    name = target.text("name")
    return {
        **_labels(target),
        "__address__": target.text("address"),
        "__scheme__": target.text("scheme"),
        "__metrics_path__": _either(target, "metrics_path", "metricsPath"),
        "instance": name,
        PREFIX + "dataplane": name,
    }


def _labels(record: Record) -> dict[str, str]:
    return keyed_labels(PREFIX + "label_", record.text_map("labels"))


def _either(record: Record, name: str, other: str) -> str:
    """A field that has two names in JSON: that of the definition, and that of JSON."""
    return record.text(name) or record.text(other)


def _refuse_type(said: str) -> None:
    if said != TYPE:
        raise SourceError(f"the answer is of type {said[:100]!r}; it has to be {TYPE!r}")
