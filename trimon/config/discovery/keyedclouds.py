"""Clouds that want requests signed with keys of their own: one mechanism each."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from trimon.config.discovery.source import SdConfig
from trimon.config.http import NO_SECRET, NO_URL, HttpClient
from trimon.config.kinds import ADDRESS, DURATION, FilePath, Hidden, Listed, Text, Whole
from trimon.config.model import AT_END, Shown, setting
from trimon.config.secret import MASK, Secret, SecretUrl
from trimon.gotext.strings import go_quote
from trimon.gotext.urls import url_fault
from trimon.records import dataclass
from trimon.units import format_duration

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_FORM: Final = "a UUID: xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
_SCALEWAY_KEY: Final = re.compile(r"SCW[A-Z0-9]{17}")


def _refuse_secrets(model: ScalewaySdConfig | OutscaleSdConfig) -> None:
    """Raise UserError unless the secret key comes from one place."""
    given = [name for name in ("secret_key", "secret_key_file") if getattr(model, name)]
    if len(given) != 1:
        most = "one of" if not given else "at most one of"
        raise model.refuse("secret_key_file", f"{most} secret_key & secret_key_file must be configured")


def _scaleway_role(text: str) -> str | None:
    return None if text in ("instance", "baremetal") else f"unknown role {go_quote(text)}"


@dataclass(frozen=True, kw_only=True)
class ScalewaySdConfig(HttpClient, SdConfig):
    """Instances or servers of Scaleway."""

    yaml_type: ClassVar[str] = "scaleway.plain"
    inherited_before: ClassVar[str] = "refresh_interval"

    project_id: str = setting(Text(), "", shown=Shown.ALWAYS)
    api_url: SecretUrl = setting(ADDRESS, SecretUrl("https://api.scaleway.com"))
    zone: str = setting(Text(), "fr-par-1", shown=Shown.ALWAYS)
    access_key: str = setting(Text(), "", shown=Shown.ALWAYS)
    secret_key: Secret = setting(Hidden(), NO_SECRET, shown=Shown.ALWAYS)
    secret_key_file: str = setting(FilePath(), "", shown=Shown.ALWAYS)
    name_filter: str = setting(Text(), "")
    tags_filter: tuple[str, ...] = setting(Listed(Text()), ())
    refresh_interval: int = setting(DURATION, 60_000, shown=Shown.ALWAYS)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)
    role: str = setting(Text(_scaleway_role), "", shown=Shown.ALWAYS)

    def check(self) -> None:
        """There are a role, a project, and keys in the form that Scaleway gives them."""
        if not self.role:
            raise self.refuse("role", "role missing (one of: instance, baremetal)")
        if not self.project_id:
            raise self.refuse("project_id", "project_id is mandatory")
        _refuse_secrets(self)
        if not self.access_key:
            raise self.refuse("access_key", "access_key is mandatory")
        if not _SCALEWAY_KEY.fullmatch(self.access_key):
            self._refuse_form("access_key", f"access key format '{self.access_key}'", _KEY_FORM)
        if self.secret_key and not _UUID.fullmatch(self.secret_key.reveal()):
            self._refuse_form("secret_key", f"secret key format '{MASK}'", _UUID_FORM)
        if not _UUID.fullmatch(self.project_id):
            self._refuse_form("project_id", f"project ID format '{self.project_id}'", _UUID_FORM)
        HttpClient.check(self)

    def _refuse_form(self, name: str, what: str, form: str) -> None:
        raise self.refuse(name, f"scaleway-sdk-go: invalid {what}, expected {form}")


_KEY_FORM: Final = "SCWXXXXXXXXXXXXXXXXX format"


@dataclass(frozen=True, kw_only=True)
class OutscaleSdConfig(HttpClient, SdConfig):
    """Machines of Outscale. Without an endpoint it is that of the region."""

    yaml_type: ClassVar[str] = "outscale.plain"
    inherited_before: ClassVar[str] = AT_END

    endpoint: SecretUrl = setting(ADDRESS, NO_URL)
    region: str = setting(Text(), "eu-west-2", shown=Shown.ALWAYS)
    access_key: str = setting(Text(), "", shown=Shown.ALWAYS)
    secret_key: Secret = setting(Hidden(), NO_SECRET, shown=Shown.ALWAYS)
    secret_key_file: str = setting(FilePath(), "", shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)

    def check(self) -> None:
        """There are a region and keys."""
        if not self.region:
            raise self.refuse("region", "outscale SD configuration requires a region")
        if not self.access_key:
            raise self.refuse("access_key", "outscale SD configuration requires access_key")
        _refuse_secrets(self)
        if not self.endpoint:
            url = SecretUrl(f"https://api.{self.region}.outscale.com/api/v1")
            object.__setattr__(self, "endpoint", url)
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class OvhCloudSdConfig(SdConfig):
    """Servers of OVHcloud."""

    yaml_type: ClassVar[str] = "ovhcloud.plain"

    endpoint: SecretUrl = setting(ADDRESS, SecretUrl("ovh-eu"), shown=Shown.ALWAYS)
    application_key: str = setting(Text(), "", shown=Shown.ALWAYS)
    application_secret: Secret = setting(Hidden(), NO_SECRET, shown=Shown.ALWAYS)
    consumer_key: Secret = setting(Hidden(), NO_SECRET, shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000, shown=Shown.ALWAYS)
    service: str = setting(Text(), "", shown=Shown.ALWAYS)

    def check(self) -> None:
        """There are keys, and a service that is known."""
        for name in ("endpoint", "application_key", "application_secret", "consumer_key"):
            if not getattr(self, name):
                raise self.refuse(name, f"{name.replace('_', ' ')} can not be empty")
        if self.service not in ("vps", "dedicated_server"):
            raise self.refuse("service", f"unknown service: {self.service}")


@dataclass(frozen=True, kw_only=True)
class StackitSdConfig(HttpClient, SdConfig):
    """Servers of a project of STACKIT."""

    yaml_type: ClassVar[str] = "stackit.plain"

    project: str = setting(Text(), "", shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000, shown=Shown.ALWAYS)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)
    region: str = setting(Text(), "eu01")
    endpoint: SecretUrl = setting(ADDRESS, NO_URL)
    service_account_key: Secret = setting(Hidden(), NO_SECRET)
    private_key: Secret = setting(Hidden(), NO_SECRET)
    service_account_key_path: str = setting(Text(), "")
    private_key_path: str = setting(Text(), "")
    credentials_file_path: str = setting(Text(), "")

    def check(self) -> None:
        """There is a place to ask at."""
        if not self.endpoint and not self.region:
            raise self.refuse("region", "stackit_sd: endpoint and region missing")
        if fault := url_fault(self.endpoint.reveal()):
            shown = go_quote(str(self.endpoint))
            raise self.refuse("endpoint", f"stackit_sd: invalid endpoint {shown}: parse {shown}: {fault}")
        HttpClient.check(self)


_OCI_USER: Final = ("tenancy", "user", "fingerprint", "key_file")


@dataclass(frozen=True, kw_only=True)
class OciSdConfig(HttpClient, SdConfig):
    """Instances of Oracle's cloud."""

    yaml_type: ClassVar[str] = "oci.plain"
    inherited_before: ClassVar[str] = "port"

    auth: str = setting(Text(), "api_key")
    tenancy: str = setting(Text(), "")
    user: str = setting(Text(), "")
    fingerprint: str = setting(Text(), "")
    key_file: str = setting(FilePath(), "")
    key_passphrase: Secret = setting(Hidden(), NO_SECRET)
    key_passphrase_file: str = setting(FilePath(), "")
    region: str = setting(Text(), "", shown=Shown.ALWAYS)
    compartments: tuple[str, ...] = setting(Listed(Text()), ())
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000)

    def check(self) -> None:
        """There is a region, and what the way of authorization needs and nothing else."""
        if not self.region:
            raise self.refuse("region", "oci_sd: region is required")
        if self.refresh_interval <= 0:
            interval = format_duration(self.refresh_interval)
            raise self.refuse(
                "refresh_interval", f"oci_sd: refresh_interval must be positive, got {interval}"
            )
        for index, compartment in enumerate(self.compartments):
            if not compartment:
                raise self.refuse("compartments", f"oci_sd: compartments[{index}] must not be empty")
        self._check_auth()
        HttpClient.check(self)

    def _check_auth(self) -> None:
        passphrases = [name for name in ("key_passphrase", "key_passphrase_file") if getattr(self, name)]
        if self.auth == "instance_principal":
            if passphrases or any(getattr(self, name) for name in _OCI_USER):
                raise self.refuse(
                    "auth",
                    "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, "
                    "key_passphrase, or key_passphrase_file set",
                )
            return
        if self.auth != "api_key":
            raise self.refuse(
                "auth",
                f'oci_sd: unknown auth method {go_quote(self.auth)}, expected "api_key" or "instance_principal"',
            )
        for name in _OCI_USER:
            if not getattr(self, name):
                raise self.refuse(name, f"oci_sd: api_key auth requires {name}")
        if len(passphrases) > 1:
            raise self.refuse(
                passphrases[1],
                "oci_sd: at most one of key_passphrase & key_passphrase_file must be configured",
            )
