"""Keystone, the identity service of OpenStack: a token for a password or an application credential, and who serves what.

Source: https://docs.openstack.org/api-ref/identity/v3/, "Authentication and token management".
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Final, TypeAlias

from trimon.config.discovery.managed import OpenStackSdConfig
from trimon.discovery.asking.api import Api, refused
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.plugin import Context
from trimon.errors import UserError
from trimon.fetch.headers import fault_of_value
from trimon.records import dataclass
from trimon.redaction import REDACTOR

Json: TypeAlias = dict[str, object]

TOKEN_HEADER: Final = "X-Auth-Token"  # noqa: S105 # a name
_HEADERS: Final = (("Accept", "application/json"), ("Content-Type", "application/json"))


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks, and for which project."""

    endpoint: str
    username: str = ""
    user_id: str = ""
    password: str = ""
    project_name: str = ""
    project_id: str = ""
    domain_name: str = ""
    domain_id: str = ""
    credential_name: str = ""
    credential_id: str = ""
    credential_secret: str = ""

    @classmethod
    def of(cls, config: OpenStackSdConfig) -> Account:
        """What a configuration says, or the environment where it names no identity service. Raises UserError."""
        endpoint = config.identity_endpoint.reveal()
        if not endpoint:
            return cls.of_environment(os.environ)
        return cls(
            endpoint,
            config.username,
            config.userid,
            config.password.reveal(),
            config.project_name,
            config.project_id,
            config.domain_name,
            config.domain_id,
            config.application_credential_name,
            config.application_credential_id,
            config.application_credential_secret.reveal(),
        )

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Account:
        """What the variables say that OpenStack's own clients read. Raises UserError."""

        def value(*names: str) -> str:
            return next((environment[name] for name in names if environment.get(name)), "")

        endpoint = value("OS_AUTH_URL")
        if not endpoint:
            raise UserError("identity_endpoint: it is not set, and neither is OS_AUTH_URL in the environment")
        account = cls(
            endpoint,
            value("OS_USERNAME"),
            value("OS_USERID", "OS_USER_ID"),
            value("OS_PASSWORD"),
            value("OS_PROJECT_NAME", "OS_TENANT_NAME"),
            value("OS_PROJECT_ID", "OS_TENANT_ID"),
            value("OS_DOMAIN_NAME", "OS_USER_DOMAIN_NAME"),
            value("OS_DOMAIN_ID", "OS_USER_DOMAIN_ID"),
            value("OS_APPLICATION_CREDENTIAL_NAME"),
            value("OS_APPLICATION_CREDENTIAL_ID"),
            value("OS_APPLICATION_CREDENTIAL_SECRET"),
        )
        REDACTOR.add(account.password)
        REDACTOR.add(account.credential_secret)
        return account

    def url(self) -> str:
        """Where tokens are made. Raises UserError."""
        base = self.endpoint.rstrip("/")
        if base.endswith("/v2.0"):
            raise UserError(
                "identity_endpoint: version 2 of the identity service is not supported, only 3 is"
            )
        return (base if base.endswith("/v3") else f"{base}/v3") + "/auth/tokens"

    def request(self) -> bytes:
        """The body that asks for a token. Raises UserError."""
        auth: Json
        if self.password:
            auth = {"identity": {"methods": ["password"], "password": {"user": self._user(self.password)}}}
            scope = self._scope()
        else:
            # A credential is made for one project; asking for a scope besides is an error.
            auth = {"identity": self._by_credential()}
            scope = {}
        if scope:
            auth["scope"] = scope
        return json.dumps({"auth": auth}, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def _by_credential(self) -> Json:
        credential: Json = {"secret": self.credential_secret}
        if self.credential_id:
            credential["id"] = self.credential_id
        elif self.credential_name:
            credential |= {"name": self.credential_name, "user": self._user()}
        else:
            raise UserError("password: OpenStack needs a password or an application credential")
        return {"methods": ["application_credential"], "application_credential": credential}

    def _user(self, password: str = "") -> Json:
        secret: Json = {"password": password} if password else {}
        if self.user_id:
            return {"id": self.user_id, **secret}
        if not self.username:
            raise UserError("username: OpenStack needs a username or a userid")
        return {"name": self.username, "domain": self._domain(), **secret}

    def _domain(self) -> Json:
        if self.domain_id:
            return {"id": self.domain_id}
        if self.domain_name:
            return {"name": self.domain_name}
        raise UserError("domain_name: OpenStack needs the domain of a user and of a project that are named")

    def _scope(self) -> Json:
        if self.project_id:
            return {"project": {"id": self.project_id}}
        if self.project_name:
            return {"project": {"name": self.project_name, "domain": self._domain()}}
        return {}


class Unauthorized(SourceError):
    """A service refused a token: it has ended, or was revoked."""


@dataclass(frozen=True, slots=True)
class Session:
    """A token, and the catalog of services that came with it."""

    token: str
    catalog: tuple[Record, ...]

    def endpoint(self, service: str, region: str, interface: str) -> str:
        """The URL of a service in a region, without a slash at its end. Raises SourceError."""
        for entry in self.catalog:
            if entry.text("type") != service:
                continue
            for endpoint in entry.records("endpoints"):
                here = region in (endpoint.text("region"), endpoint.text("region_id"))
                if here and endpoint.text("interface") == interface and endpoint.text("url"):
                    return endpoint.text("url").rstrip("/")
        raise SourceError(f"the catalog has no {interface} endpoint of {service} in region {region!r}")


async def log_in(account: Account, context: Context, timeout_s: float) -> Session:
    """A new session. Raises SourceError, FetchError, UserError."""
    api = Api(context, timeout_s, follow_redirects=False)
    answer = await api.send(account.url(), _HEADERS, method="POST", body=account.request())
    if answer.status not in (201, 202):
        raise refused(answer, context.clock)
    token = answer.headers.get("x-subject-token", "")
    if not token or fault_of_value(token):
        raise SourceError("the answer to a login has no token in its header X-Subject-Token")
    REDACTOR.add(token)
    said = await api.read(answer, Record.of_json)
    return Session(token, tuple(said.record("token").records("catalog")))
