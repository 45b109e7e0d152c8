"""Tokens of Azure AD for requests to Azure Monitor, by one of five identities.

Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
https://learn.microsoft.com/entra/identity-platform/certificate-credentials,
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token and
https://learn.microsoft.com/azure/app-service/overview-managed-identity.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, urlencode

import trio

from trimon.clock import Clock, WallClock
from trimon.config.cloudauth import AzureAdConfig
from trimon.fetch.request import Fetch, FetchError
from trimon.peers.files import read_certificate, read_secret
from trimon.peers.tokens.bearer import (
    Token,
    identity_fetch,
    machine_fetch,
    token_for_form,
    token_of_machine,
)
from trimon.random import SYSTEM_RANDOMNESS
from trimon.records import dataclass

METADATA_URL: Final = "http://169.254.169.254/metadata/identity/oauth2/token"
SIGNED_FOR_S: Final = 600
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DEFAULT: Final = "/.default"
_WHAT: Final = "azuread"


@dataclass(frozen=True, slots=True)
class MonitorCloud:
    """One of the separate clouds of Azure: who logs in, and what for."""

    login: str
    audience: str


CLOUDS: Final = {
    "AzurePublic": MonitorCloud("https://login.microsoftonline.com", "https://monitor.azure.com/"),
    "AzureChina": MonitorCloud("https://login.chinacloudapi.cn", "https://monitor.azure.cn/"),
    "AzureGovernment": MonitorCloud("https://login.microsoftonline.us", "https://monitor.azure.us/"),
}


class AzureAdTokens:
    """Asks for tokens in the way that a section says; `sdk` takes the first way for which the environment is set."""

    def __init__(
        self,
        config: AzureAdConfig,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        login: Callable[[], Fetch] = identity_fetch,
        machine: Callable[[], Fetch] = machine_fetch,
    ) -> None:
        self._config = config
        self._cloud = CLOUDS[config.cloud]
        self._environment = os.environ if environment is None else environment
        self._clock = clock or WallClock()
        self._login = login
        self._machine = machine
        self._scope = config.scope or self._cloud.audience + _DEFAULT

    async def ask(self) -> Token:
        """A new token. Raises FetchError."""
        config = self._config
        if (oauth := config.oauth) is not None:
            proof = {"client_secret": oauth.client_secret.reveal()}
            return await self._log_in(oauth.tenant_id, oauth.client_id, proof)
        if (workload := config.workload_identity) is not None:
            return await self._by_file(workload.tenant_id, workload.client_id, workload.token_file_path)
        if (certificate := config.certificate) is not None:
            return await self._by_certificate(
                certificate.tenant_id, certificate.client_id, certificate.certificate_path
            )
        if config.managed_identity is not None:
            return await self._by_machine(config.managed_identity.client_id)
        return await self._by_environment()

    async def _by_environment(self) -> Token:
        said = self._environment.get
        tenant = (self._config.sdk.tenant_id if self._config.sdk else "") or said("AZURE_TENANT_ID", "")
        client = said("AZURE_CLIENT_ID", "")
        if secret := said("AZURE_CLIENT_SECRET"):
            return await self._log_in(tenant, client, {"client_secret": secret})
        if path := said("AZURE_CLIENT_CERTIFICATE_PATH"):
            return await self._by_certificate(tenant, client, path)
        if path := said("AZURE_FEDERATED_TOKEN_FILE"):
            return await self._by_file(tenant, client, path)
        return await self._by_machine(client)

    async def _by_file(self, tenant: str, client: str, path: str) -> Token:
        assertion = await trio.to_thread.run_sync(read_secret, path)
        return await self._log_in(
            tenant, client, {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        )

    async def _by_certificate(self, tenant: str, client: str, path: str) -> Token:
        claim = await trio.to_thread.run_sync(self._claim, tenant, client, path)
        return await self._log_in(
            tenant, client, {"client_assertion_type": _ASSERTION, "client_assertion": claim}
        )

    def _claim(self, tenant: str, client: str, path: str) -> str:
        """The claim to be an application, signed with the key beside its certificate. Blocks. Raises FetchError."""
        import jwt  # noqa: PLC0415 # it and its cryptography are large, and few sign
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

        now_s = self._clock.now_ms() // 1000
        claims = {
            "aud": self._token_url(tenant),
            "iss": client,
            "sub": client,
            "jti": SYSTEM_RANDOMNESS.token(16).hex(),
            "nbf": now_s,
            "iat": now_s,
            "exp": now_s + SIGNED_FOR_S,
        }
        try:
            pem = read_certificate(path)
            thumb = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
            named = base64.urlsafe_b64encode(thumb).rstrip(b"=").decode()
            return jwt.encode(claims, pem, "PS256", headers={"x5t#S256": named})
        except OSError as error:
            raise FetchError(f"{_WHAT}: unable to read file {path}: {error.strerror or error}") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise FetchError(
                f"{_WHAT}: {path} has no certificate and RSA key in PEM that a claim can be signed with"
            ) from None

    def _token_url(self, tenant: str) -> str:
        return f"{self._cloud.login}/{quote(tenant, safe='')}/oauth2/v2.0/token"

    async def _log_in(self, tenant: str, client: str, proof: Mapping[str, str]) -> Token:
        if not tenant or not client:
            raise FetchError(
                f"{_WHAT}: neither the section nor the environment says the tenant and the client"
            )
        form = {"grant_type": "client_credentials", "client_id": client, "scope": self._scope, **proof}
        return await token_for_form(_WHAT, self._login(), self._token_url(tenant), form)

    async def _by_machine(self, client: str) -> Token:
        """From the metadata service of a machine, or from that of App Service, which the environment names."""
        endpoint, secret = (
            self._environment.get(name, "") for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")
        )
        parameters = {"resource": self._scope.removesuffix(_DEFAULT)}
        if client:
            parameters["client_id"] = client
        if endpoint and not secret:
            raise FetchError(
                f"{_WHAT}: IDENTITY_ENDPOINT without IDENTITY_HEADER: identities of Azure Arc are not supported"
            )
        if endpoint:
            parameters["api-version"], headers = "2019-08-01", (("X-IDENTITY-HEADER", secret),)
        else:
            endpoint = METADATA_URL
            parameters["api-version"], headers = "2018-02-01", (("Metadata", "true"),)
        url = f"{endpoint}?{urlencode(sorted(parameters.items()))}"
        return await token_of_machine(_WHAT, self._machine(), url, headers)
