"""The section `tracing`: where spans are sent."""

from __future__ import annotations

from typing import ClassVar, Final

from trimon.config.http import NO_URL, TlsConfig
from trimon.config.kinds import ADDRESS, DURATION, Boolean, Mapped, Number, Of, Pairs, Text
from trimon.config.model import Model, setting
from trimon.config.remote import reserved_header
from trimon.config.secret import SecretUrl
from trimon.records import dataclass
from trimon.redaction import REDACTOR, looks_secret

CLIENTS: Final = ("http", "grpc")


def _client(text: str) -> str | None:
    if text in CLIENTS:
        return None
    return f"expected tracing client type to be to be http or grpc, but got {text}"


@dataclass(frozen=True, kw_only=True)
class TracingConfig(Model):
    """Everything under `tracing`. The timeout is in ms."""

    yaml_type: ClassVar[str] = "config.plain"

    client_type: str = setting(Text(_client), "grpc")
    endpoint: SecretUrl = setting(ADDRESS, NO_URL)
    sampling_fraction: float = setting(Number(), 0.0)
    insecure: bool = setting(Boolean(), default=False)
    tls_config: TlsConfig = setting(Of(TlsConfig), default_factory=TlsConfig)
    headers: Pairs = setting(Mapped(Text()), ())
    compression: str = setting(Text(), "")
    timeout: int = setting(DURATION, 0)

    def check(self) -> None:
        """There is an endpoint, and nothing that the exporter does not know."""
        for name, value in self.headers:
            if name.lower() == "authorization":
                raise self.refuse("headers", "custom authorization header configuration is not yet supported")
            if message := reserved_header(name):
                raise self.refuse("headers", message)
            if looks_secret(name):
                REDACTOR.add(value)
        if not self.endpoint:
            raise self.refuse("endpoint", "tracing endpoint must be set")
        if self.compression not in ("", "gzip"):
            raise self.refuse(
                "compression", f"invalid compression type {self.compression} provided, valid options: gzip"
            )
