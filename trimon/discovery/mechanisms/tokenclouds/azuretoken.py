"""Tokens of Azure: with the secret of an application, as a workload of a cluster, or as the machine that one runs on.

Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token,
https://learn.microsoft.com/azure/app-service/overview-managed-identity and https://azure.github.io/azure-workload-identity.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import quote, urlencode

from trimon.config.discovery.clouds import AzureSdConfig
from trimon.discovery.asking.api import Api
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.mechanisms.tokenclouds.metadata import MetadataApi
from trimon.discovery.mechanisms.tokenclouds.tokens import Token
from trimon.discovery.plugin import Context
from trimon.errors import UserError
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.proxychoice import ProxyOptions
from trimon.fetch.request import Fetch
from trimon.peers.files import read_secret
from trimon.records import dataclass

METADATA_URL: Final = "http://169.254.169.254/metadata/identity/oauth2/token"
TIMEOUT_S: Final = 30.0
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM: Final = (("Content-Type", "application/x-www-form-urlencoded"),)


@dataclass(frozen=True, slots=True)
class AzureCloud:
    """One of the separate clouds of Azure: who logs in, what for, and where resources are listed."""

    login: str
    audience: str
    resources: str


_PUBLIC: Final = AzureCloud(
    "https://login.microsoftonline.com",
    "https://management.core.windows.net/",
    "https://management.azure.com",
)
_CHINA: Final = AzureCloud(
    "https://login.chinacloudapi.cn",
    "https://management.core.chinacloudapi.cn",
    "https://management.chinacloudapi.cn",
)
_GOVERNMENT: Final = AzureCloud(
    "https://login.microsoftonline.us",
    "https://management.core.usgovcloudapi.net",
    "https://management.usgovcloudapi.net",
)
_CLOUDS: Final = {
    "AZURECLOUD": _PUBLIC,
    "AZUREPUBLICCLOUD": _PUBLIC,
    "AZURECHINACLOUD": _CHINA,
    "AZUREUSGOVERNMENT": _GOVERNMENT,
    "AZUREUSGOVERNMENTCLOUD": _GOVERNMENT,
}


def cloud_of(name: str) -> AzureCloud:
    """The cloud of a name, in any case. Raises UserError."""
    found = _CLOUDS.get(name.upper())
    if found is None:
        raise UserError(f"environment: there is no cloud {name!r}; it has to be one of {', '.join(_CLOUDS)}")
    return found


def login_fetch() -> Fetch:
    """A client of the login: the proxy and the authorities are those of the environment, as with Prometheus."""
    return HttpFetch(ClientOptions(proxy=ProxyOptions(from_environment=True)))


class AzureTokens:
    """Gets tokens in the way that the configuration says; SDK means the first way for which the environment is set."""

    def __init__(
        self, config: AzureSdConfig, context: Context, environment: Mapping[str, str] | None = None
    ) -> None:
        self._config = config
        self._cloud = cloud_of(config.environment)
        self._context = context
        self._environment = os.environ if environment is None else environment

    async def ask(self) -> Token:
        """A new token. Raises SourceError, FetchError."""
        ways: dict[str, Callable[[], Awaitable[Token]]] = {
            "OAuth": self._by_secret,
            "WorkloadIdentity": self._by_workload,
            "ManagedIdentity": self._by_machine,
        }
        return await ways[self._method()]()

    def _method(self) -> str:
        if self._config.authentication_method != "SDK":
            return self._config.authentication_method
        if self._environment.get("AZURE_CLIENT_SECRET"):
            return "OAuth"
        return (
            "WorkloadIdentity" if self._environment.get("AZURE_FEDERATED_TOKEN_FILE") else "ManagedIdentity"
        )

    async def _by_secret(self) -> Token:
        if self._config.authentication_method == "SDK":
            tenant = self._config.tenant_id or self._environment.get("AZURE_TENANT_ID", "")
            client, secret = (
                self._environment.get("AZURE_CLIENT_ID", ""),
                self._environment["AZURE_CLIENT_SECRET"],
            )
        else:
            tenant, client = self._config.tenant_id, self._config.client_id
            secret = self._config.client_secret.reveal()
        return await self._log_in(self._cloud.login, tenant, client, {"client_secret": secret})

    async def _by_workload(self) -> Token:
        client = self._environment.get("AZURE_CLIENT_ID") or self._config.client_id
        tenant = self._environment.get("AZURE_TENANT_ID") or self._config.tenant_id
        path = self._environment.get("AZURE_FEDERATED_TOKEN_FILE", "")
        if not (client and tenant and path):
            raise SourceError(
                "a workload identity needs AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE "
                "in the environment"
            )
        assertion = await self._context.offload.run(lambda: read_secret(path))
        login = self._environment.get("AZURE_AUTHORITY_HOST", "").rstrip("/") or self._cloud.login
        proof = {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        return await self._log_in(login, tenant, client, proof)

    async def _log_in(self, login: str, tenant: str, client: str, proof: Mapping[str, str]) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "scope": f"{self._cloud.audience}/.default",
            **proof,
        }
        body = urlencode(sorted(form.items())).encode()
        fetch = login_fetch()
        try:
            # The body has a secret.
            api = Api(self._context, TIMEOUT_S, fetch, follow_redirects=False)
            url = f"{login}/{quote(tenant, safe='')}/oauth2/v2.0/token"
            return Token.of(await api.record(url, _FORM, method="POST", body=body))
        finally:
            await fetch.aclose()

    async def _by_machine(self) -> Token:
        """From the metadata service of a machine, or from that of App Service, which the environment names."""
        endpoint, secret = (
            self._environment.get(name, "") for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")
        )
        if endpoint and not secret:
            raise SourceError(
                "IDENTITY_ENDPOINT without IDENTITY_HEADER: identities of Azure Arc are not supported"
            )
        parameters = {"resource": self._cloud.audience}
        if self._config.client_id:
            parameters["client_id"] = self._config.client_id
        if endpoint:
            parameters["api-version"], headers = "2019-08-01", (("X-IDENTITY-HEADER", secret),)
        else:
            endpoint = METADATA_URL
            parameters["api-version"], headers = "2018-02-01", (("Metadata", "true"),)
        body = await MetadataApi(self._context).ok(
            f"{endpoint}?{urlencode(sorted(parameters.items()))}", headers
        )
        return Token.of(Record.of_json(body))
