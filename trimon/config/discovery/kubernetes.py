"""`kubernetes_sd_configs`: what a cluster's API server knows."""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar, Final

from trimon.config.discovery.selectors import SELECTED, field_selector_fault, label_selector_fault
from trimon.config.discovery.source import SdConfig
from trimon.config.http import HttpClient
from trimon.config.kinds import AnyUrl, Boolean, FilePath, Listed, Of, Text
from trimon.config.model import Model, Shown, setting
from trimon.config.secret import SecretUrl
from trimon.gotext.strings import go_quote
from trimon.records import dataclass

"""The roles, each with those that its selectors may have."""


def _role(text: str) -> str | None:
    return None if text in SELECTED else f"unknown Kubernetes SD role {go_quote(text)}"


@dataclass(frozen=True, kw_only=True)
class Namespaces(Model):
    """Namespaces that are looked into; without any, all are."""

    yaml_type: ClassVar[str] = "kubernetes.plain"

    own_namespace: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    names: tuple[str, ...] = setting(Listed(Text()), (), shown=Shown.ALWAYS)


@dataclass(frozen=True, kw_only=True)
class Selector(Model):
    """Which objects of a role are asked for."""

    yaml_type: ClassVar[str] = "kubernetes.SelectorConfig"

    role: str = setting(Text(_role), "")
    label: str = setting(Text(), "")
    field: str = setting(Text(), "")


@dataclass(frozen=True, kw_only=True)
class AttachMetadata(Model):
    """What else targets are told of."""

    yaml_type: ClassVar[str] = "kubernetes.AttachMetadataConfig"

    node: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    namespace: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    deployment: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    job: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    cronjob: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)


@dataclass(frozen=True, kw_only=True)
class KubernetesSdConfig(HttpClient, SdConfig):
    """Objects of a role, and how the API server is reached; without its address, as a pod of the cluster does."""

    yaml_type: ClassVar[str] = "kubernetes.plain"
    inherited_before: ClassVar[str] = "namespaces"

    api_server: SecretUrl | None = setting(AnyUrl())
    role: str = setting(Text(_role), "", shown=Shown.ALWAYS)
    kubeconfig_file: str = setting(FilePath(), "", shown=Shown.ALWAYS)
    namespaces: Namespaces = setting(Of(Namespaces), default_factory=Namespaces)
    selectors: tuple[Selector, ...] = setting(Listed(Of(Selector), "[]kubernetes.SelectorConfig"), ())
    attach_metadata: AttachMetadata = setting(Of(AttachMetadata), default_factory=AttachMetadata)

    def check(self) -> None:
        """One way to the API server, and selectors that go with the role."""
        if not self.role:
            raise self.refuse("role", f"role missing (one of: {_ROLES})")
        custom = self._has_client()
        HttpClient.check(self)
        if self.api_server is not None and self.kubeconfig_file:
            raise self.refuse(
                "kubeconfig_file", "cannot use 'kubeconfig_file' and 'api_server' simultaneously"
            )
        if self.kubeconfig_file and custom:
            raise self.refuse(
                "", "cannot use a custom HTTP client configuration together with 'kubeconfig_file'"
            )
        if self.api_server is None and custom:
            raise self.refuse(
                "",
                "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
            )
        for name in ("api_server", "kubeconfig_file"):
            if getattr(self, name) and self.namespaces.own_namespace:
                raise self.refuse(
                    "namespaces", f"cannot use '{name}' and 'namespaces.own_namespace' simultaneously"
                )
        self._check_selectors()

    def _has_client(self) -> bool:
        """Whether the HTTP block says anything."""
        plain = HttpClient()
        names = [each.name for each in fields(HttpClient) if each.compare]
        return any(getattr(self, name) != getattr(plain, name) for name in names)

    def _check_selectors(self) -> None:
        seen: set[str] = set()
        allowed = SELECTED[self.role]
        for selector in self.selectors:
            if selector.role in seen:
                raise selector.refuse("role", f"duplicated selector role: {selector.role}")
            seen.add(selector.role)
            if selector.role not in allowed:
                raise selector.refuse(
                    "role", f"{self.role} role supports only {', '.join(allowed)} selectors"
                )
            if fault := field_selector_fault(selector.field):
                raise selector.refuse("field", fault)
            if fault := label_selector_fault(selector.label):
                raise selector.refuse("label", fault)


_ROLES: Final = "pod, service, endpoints, endpointslice, node, ingress"
