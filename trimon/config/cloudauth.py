"""Ways in which clouds want requests signed: AWS SigV4, Azure AD, Google IAM."""

from __future__ import annotations

import re
from typing import ClassVar, Final
from uuid import UUID

from trimon.config.http import NO_SECRET
from trimon.config.kinds import Boolean, Hidden, Of, Text
from trimon.config.model import Model, setting
from trimon.config.secret import Secret
from trimon.records import dataclass

AZURE_CLOUDS: Final = ("AzurePublic", "AzureChina", "AzureGovernment")
_WORKLOAD_FILE: Final = "/var/run/secrets/azure/tokens/azure-identity-token"
_TENANT: Final = re.compile(r"[0-9a-zA-Z.\-]+")
_SCOPE: Final = re.compile(r"[\w\s:/.\-]+", re.ASCII)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class SigV4Config(Model):
    """Signing as AWS wants it; what is not said comes from the environment."""

    yaml_type: ClassVar[str] = "sigv4.plain"

    region: str = setting(Text(), "")
    access_key: str = setting(Text(), "")
    secret_key: Secret = setting(Hidden(), NO_SECRET)
    profile: str = setting(Text(), "")
    role_arn: str = setting(Text(), "")
    external_id: str = setting(Text(), "")
    use_fips_sts_endpoint: bool = setting(Boolean(), default=False)

    def check(self) -> None:
        """Both keys or none."""
        if bool(self.access_key) != bool(self.secret_key):
            raise self.refuse(
                "access_key" if self.access_key else "secret_key",
                "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config",
            )


@dataclass(frozen=True, kw_only=True)
class GoogleIamConfig(Model):
    """Tokens of a Google service account."""

    yaml_type: ClassVar[str] = "googleiam.Config"

    credentials_file: str = setting(Text(), "")


@dataclass(frozen=True, kw_only=True)
class _AzureIdentity(Model):
    """One way to prove who asks."""

    what: ClassVar[str] = ""
    needed: ClassVar[tuple[str, ...]] = ("client_id", "tenant_id")

    def check(self) -> None:
        """What is needed is there, and is well formed."""
        for name in self.needed:
            if not getattr(self, name):
                raise self.refuse(name, f"must provide an Azure {self.what} {name} in the Azure AD config")
        if getattr(self, "client_id", "") and not _is_uuid(getattr(self, "client_id", "")):
            raise self.refuse("client_id", f"the provided Azure {self.what} client_id is invalid")
        tenant = getattr(self, "tenant_id", "")
        if tenant and not _TENANT.fullmatch(tenant):
            raise self.refuse("tenant_id", f"the provided Azure {self.what} tenant_id is invalid")


@dataclass(frozen=True, kw_only=True)
class ManagedIdentity(_AzureIdentity):
    """An identity that the machine has; without an id that of the system."""

    yaml_type: ClassVar[str] = "azuread.ManagedIdentityConfig"
    what: ClassVar[str] = "Managed Identity"
    needed: ClassVar[tuple[str, ...]] = ()

    client_id: str = setting(Text(), "")


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentity(_AzureIdentity):
    """An identity that a file of the cluster proves."""

    yaml_type: ClassVar[str] = "azuread.WorkloadIdentityConfig"
    what: ClassVar[str] = "Workload Identity"

    client_id: str = setting(Text(), "")
    tenant_id: str = setting(Text(), "")
    token_file_path: str = setting(Text(), _WORKLOAD_FILE)


@dataclass(frozen=True, kw_only=True)
class AzureOAuth(_AzureIdentity):
    """An application with a secret."""

    yaml_type: ClassVar[str] = "azuread.OAuthConfig"
    what: ClassVar[str] = "OAuth"
    needed: ClassVar[tuple[str, ...]] = ("client_id", "client_secret", "tenant_id")

    client_id: str = setting(Text(), "")
    client_secret: Secret = setting(Hidden(), NO_SECRET)
    tenant_id: str = setting(Text(), "")


@dataclass(frozen=True, kw_only=True)
class AzureCertificate(_AzureIdentity):
    """An application with a certificate."""

    yaml_type: ClassVar[str] = "azuread.CertificateConfig"
    what: ClassVar[str] = "Certificate"
    needed: ClassVar[tuple[str, ...]] = ("client_id", "tenant_id", "certificate_path")

    client_id: str = setting(Text(), "")
    tenant_id: str = setting(Text(), "")
    certificate_path: str = setting(Text(), "")


@dataclass(frozen=True, kw_only=True)
class AzureSdk(_AzureIdentity):
    """Whatever the environment has."""

    yaml_type: ClassVar[str] = "azuread.SDKConfig"
    what: ClassVar[str] = "SDK"
    needed: ClassVar[tuple[str, ...]] = ()

    tenant_id: str = setting(Text(), "")


_IDENTITIES: Final = ("managed_identity", "workload_identity", "oauth", "certificate", "sdk")


@dataclass(frozen=True, kw_only=True)
class AzureAdConfig(Model):
    """Tokens of Azure AD, asked for by one identity."""

    yaml_type: ClassVar[str] = "azuread.plain"

    managed_identity: ManagedIdentity | None = setting(Of(ManagedIdentity))
    workload_identity: WorkloadIdentity | None = setting(Of(WorkloadIdentity))
    oauth: AzureOAuth | None = setting(Of(AzureOAuth))
    certificate: AzureCertificate | None = setting(Of(AzureCertificate))
    sdk: AzureSdk | None = setting(Of(AzureSdk))
    cloud: str = setting(Text(), AZURE_CLOUDS[0])
    scope: str = setting(Text(), "")

    def check(self) -> None:
        """A cloud that is known, and one identity."""
        if not self.cloud:
            object.__setattr__(self, "cloud", AZURE_CLOUDS[0])
        if self.cloud not in AZURE_CLOUDS:
            raise self.refuse("cloud", "must provide a cloud in the Azure AD config")
        given = [name for name in _IDENTITIES if getattr(self, name) is not None]
        if not given:
            raise self.refuse(
                "",
                "must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure Certificate "
                "or Azure SDK in the Azure AD config",
            )
        if len(given) > 1:
            raise self.refuse(
                given[1], "cannot provide multiple authentication methods in the Azure AD config"
            )
        if self.scope and not _SCOPE.fullmatch(self.scope):
            raise self.refuse("scope", "the provided scope contains invalid characters")
