"""Servers of a project of STACKIT (`stackit_sd_configs`).

    no key of a service account ── the credentials of the HTTP client, if any ──┐
    key ── signed claims to the token service, a token for as long as it counts ─┴─ servers with their interfaces

Source: https://docs.api.eu01.stackit.cloud/documentation/iaas/version/v1,
https://docs.stackit.cloud/platform/access-and-identity/service-accounts/. Labels: `__meta_stackit_*`: `project`, `id`,
`name`, `availability_zone`, `status`, `power_status`, `type`, `public_ipv4`, `private_ipv4_<network>`, `label_<key>`,
`labelpresent_<key>`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import trio

from trimon.config.discovery.keyedclouds import StackitSdConfig
from trimon.config.discovery.source import config_option
from trimon.config.http import JWT_BEARER, OAuth2
from trimon.config.secret import Secret, SecretUrl
from trimon.discovery.asking.api import Headers
from trimon.discovery.asking.naming import keyed_labels, sanitized
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels
from trimon.discovery.mechanisms.fields import texts
from trimon.discovery.plugin import Context, TargetGroup
from trimon.peers.files import read_secret
from trimon.peers.oauth2 import TokenSource

_TOKEN_URL: Final = "https://service-account.api.stackit.cloud/token"  # noqa: S105 # where tokens are got
_PREFIX: Final = "__meta_stackit_"
_TEXTS: Final = {
    "id": "id",
    "name": "name",
    "availability_zone": "availabilityZone",
    "status": "status",
    "power_status": "powerStatus",
    "type": "machineType",
}


class StackitDiscovery(CloudDiscovery):
    """Asks for the servers of a project."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, StackitSdConfig)
        super().__init__(context, config.refresh_interval, config.port)
        self._config = config
        endpoint = config.endpoint.reveal() or f"https://iaas.api.{config.region}.stackit.cloud"
        project = quote(config.project, safe="")
        self._url = f"{endpoint.rstrip('/')}/v1/projects/{project}/servers?details=true"
        self._tokens: TokenSource | None = None
        self._key = ("", "")

    async def refresh(self) -> list[TargetGroup]:
        """One group of all servers that have an address."""
        headers = (("Accept", "application/json"), *await self._authorization())
        answer = await self.api.record(self._url, headers)
        return await self.group("stackit", answer.records("items"), self._labels)

    async def _authorization(self) -> Headers:
        config = self._config
        if not config.service_account_key and not config.service_account_key_path:
            return ()
        key = await self.context.offload.run(self._read_key)
        if self._tokens is None or key != self._key:
            self._tokens, self._key = TokenSource(_token_config(*key), self.context.clock), key
        with trio.fail_after(self.interval_s):
            await self._tokens.prepare()
        return (("Authorization", self._tokens.authorization),)

    def _read_key(self) -> tuple[str, str]:
        """The key of the service account, and the private key where it has a place of its own."""
        config = self._config
        account = config.service_account_key.reveal() or read_secret(config.service_account_key_path)
        if config.private_key:
            return account, config.private_key.reveal()
        if config.private_key_path:
            return account, read_secret(config.private_key_path)
        if config.credentials_file_path and not _credentials(account).text("privateKey"):
            return account, _private_key_of(read_secret(config.credentials_file_path))
        return account, ""

    def _labels(self, server: Record) -> Labels | None:
        if "nics" not in server:
            return None
        labels = {f"{_PREFIX}project": self._config.project, **texts(server, _PREFIX, _TEXTS)}
        public = private = ""
        for each in server.records("nics"):
            public = public or each.text("publicIp")
            if own := each.text("ipv4"):
                labels[f"{_PREFIX}private_ipv4_{sanitized(each.text('networkName'))}"] = own
                private = private or own
        if not public and not private:
            return None
        if public:
            labels[f"{_PREFIX}public_ipv4"] = public
        all_own = server.record("labels")
        own_labels = {
            key: value
            for key in all_own.keys()  # noqa: SIM118 # a record is no mapping
            if isinstance(value := all_own.raw(key), str)
        }
        return {
            "__address__": self.address(public or private),
            **labels,
            **keyed_labels(f"{_PREFIX}labelpresent_", dict.fromkeys(own_labels, "true")),
            **keyed_labels(f"{_PREFIX}label_", own_labels),
        }


def _credentials(account: str) -> Record:
    return Record.of_json(account).record("credentials")


def _private_key_of(text: str) -> str:
    """The private key of a file of credentials. Raises SourceError."""
    record = Record.of_json(text)
    file = record.text("STACKIT_PRIVATE_KEY_PATH")
    return record.text("STACKIT_PRIVATE_KEY") or (read_secret(file) if file else "")


def _token_config(account: str, private_key: str) -> OAuth2:
    """How tokens are got with the key of a service account. Raises SourceError."""
    credentials = _credentials(account)
    private_key = private_key or credentials.text("privateKey")
    wanted = {name: credentials.text(name) for name in ("iss", "sub", "aud", "kid")}
    missing = [name for name, value in {**wanted, "privateKey": private_key}.items() if not value]
    if missing:
        raise SourceError(f"the key of the service account has no {json.dumps(missing)}")
    return OAuth2(
        client_id=wanted["sub"],
        iss=wanted["iss"],
        audience=wanted["aud"],
        client_certificate_key=Secret(private_key),
        client_certificate_key_id=wanted["kid"],
        grant_type=JWT_BEARER,
        signature_algorithm="RS512",
        token_url=SecretUrl(_TOKEN_URL),
    )
