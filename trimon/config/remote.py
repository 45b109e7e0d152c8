"""The sections `remote_write` and `remote_read`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from trimon.config.cloudauth import AzureAdConfig, GoogleIamConfig, SigV4Config
from trimon.config.http import RESERVED_HEADERS, HttpClient
from trimon.config.kinds import DURATION, AnyUrl, Boolean, Listed, Mapped, Of, Pairs, Text, Whole
from trimon.config.model import Model, Shown, setting
from trimon.config.relabel import RelabelConfig
from trimon.config.secret import SecretUrl
from trimon.gotext.strings import go_quote
from trimon.records import dataclass
from trimon.redaction import REDACTOR, looks_secret

MESSAGES: Final = ("prometheus.WriteRequest", "io.prometheus.write.v2.Request")
_WAYS: Final = ("basic_auth", "authorization", "oauth2", "sigv4", "azuread", "google_iam")
_WAYS_LISTED: Final = "basic_auth, authorization, oauth2, sigv4, azuread or google_iam"


def reserved_header(name: str) -> str | None:
    """The error of a header that is ours to set."""
    if name.lower() in RESERVED_HEADERS:
        return f"{name} is a reserved header. It must not be changed"
    return None


def _check_headers(model: RemoteWriteConfig | RemoteReadConfig) -> None:
    for name, value in model.headers:
        if name.lower() == "authorization":
            instead = "basic_auth, authorization, oauth2, sigv4, azuread or google_iam"
            raise model.refuse("headers", f"authorization header must be changed via the {instead} parameter")
        if message := reserved_header(name):
            raise model.refuse("headers", message)
        # It is shown with the configuration, as in Prometheus, and in no error of a peer.
        if looks_secret(name):
            REDACTOR.add(value)


def _message(text: str) -> str | None:
    if text in MESSAGES:
        return None
    known = ", ".join(MESSAGES)
    unknown = f"unknown type for remote write protobuf message {text}, supported: {known}"
    return f"invalid protobuf_message value: {unknown}"


@dataclass(frozen=True, kw_only=True)
class QueueConfig(Model):
    """How samples wait and are sent. Times in ms."""

    yaml_type: ClassVar[str] = "config.QueueConfig"

    capacity: int = setting(Whole(), 10_000)
    max_shards: int = setting(Whole(), 50)
    min_shards: int = setting(Whole(), 1)
    max_samples_per_send: int = setting(Whole(), 2000)
    batch_send_deadline: int = setting(DURATION, 5000)
    min_backoff: int = setting(DURATION, 30)
    max_backoff: int = setting(DURATION, 5000)
    retry_on_http_429: bool = setting(Boolean(), default=False)
    sample_age_limit: int = setting(DURATION, 0)

    def validate(self) -> None:
        """The numbers go together; that of null do not. Raises UserError."""
        for name in ("max_shards", "min_shards"):
            self._refuse_none(name)
        if self.min_shards > self.max_shards:
            raise self.refuse(
                "min_shards", "remote write queue min_shards must not be greater than max_shards"
            )
        for name in ("max_samples_per_send", "capacity"):
            self._refuse_none(name)
        if self.max_backoff < self.min_backoff:
            raise self.refuse(
                "max_backoff", "remote write queue max_backoff must not be less than min_backoff"
            )

    def _refuse_none(self, name: str) -> None:
        if getattr(self, name) <= 0:
            raise self.refuse(name, f"remote write queue {name} must be positive")


@dataclass(frozen=True, kw_only=True)
class MetadataConfig(Model):
    """Whether and how often metadata is sent."""

    yaml_type: ClassVar[str] = "config.MetadataConfig"

    send: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    send_interval: int = setting(DURATION, 60_000, shown=Shown.ALWAYS)
    max_samples_per_send: int = setting(Whole(), 2000)


@dataclass(frozen=True, kw_only=True)
class RemoteWriteConfig(HttpClient, Model):
    """Where samples are sent."""

    yaml_type: ClassVar[str] = "config.plain"
    inherited_before: ClassVar[str] = "queue_config"
    section: ClassVar[str] = "remote_write"

    url: SecretUrl | None = setting(AnyUrl(), shown=Shown.ALWAYS)
    remote_timeout: int = setting(DURATION, 30_000)
    headers: Pairs = setting(Mapped(Text()), ())
    write_relabel_configs: tuple[RelabelConfig, ...] = setting(
        Listed(
            Of(RelabelConfig), "[]*relabel.Config", "empty or null relabeling rule in remote write config"
        ),
        (),
    )
    name: str = setting(Text(), "")
    send_exemplars: bool = setting(Boolean(), default=False)
    send_native_histograms: bool = setting(Boolean(), default=False)
    round_robin_dns: bool = setting(Boolean(), default=False)
    protobuf_message: str = setting(Text(), MESSAGES[0])
    failed_request_logging: bool = setting(Boolean(), default=False)
    # HTTP/2 is off here unless the file asks for it.
    enable_http2: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    queue_config: QueueConfig = setting(Of(QueueConfig), default_factory=QueueConfig)
    metadata_config: MetadataConfig = setting(Of(MetadataConfig), default_factory=MetadataConfig)
    sigv4: SigV4Config | None = setting(Of(SigV4Config))
    azuread: AzureAdConfig | None = setting(Of(AzureAdConfig))
    google_iam: GoogleIamConfig | None = setting(Of(GoogleIamConfig))

    def check(self) -> None:
        """There is a URL, and one way of authorization."""
        if self.url is None:
            raise self.refuse("url", "url for remote_write is empty")
        _check_headers(self)
        if message := _message(self.protobuf_message):
            raise self.refuse("protobuf_message", message)
        HttpClient.check(self)
        ways = [name for name in _WAYS if getattr(self, name) is not None]
        if len(ways) > 1:
            raise self.refuse(
                ways[1],
                f"at most one of {_WAYS_LISTED} must be configured. Currently configured: [{' '.join(ways)}]",
            )
        self.queue_config.validate()

    def validate(self, *, legacy: bool) -> None:
        """The relabeling rules under the validation scheme of names. Raises UserError."""
        for rule in self.write_relabel_configs:
            rule.validate(legacy=legacy)


@dataclass(frozen=True, kw_only=True)
class RemoteReadConfig(HttpClient, Model):
    """Where samples are read from besides the local storage."""

    yaml_type: ClassVar[str] = "config.plain"
    inherited_before: ClassVar[str] = "required_matchers"

    url: SecretUrl | None = setting(AnyUrl(), shown=Shown.ALWAYS)
    remote_timeout: int = setting(DURATION, 60_000)
    chunked_read_limit: int = setting(Whole(0, 2**64 - 1, "uint64"), 50_000_000)
    headers: Pairs = setting(Mapped(Text()), ())
    read_recent: bool = setting(Boolean(), default=False)
    name: str = setting(Text(), "")
    required_matchers: Pairs = setting(Mapped(Text(), "model.LabelSet"), ())
    filter_external_labels: bool = setting(Boolean(), default=True)

    def check(self) -> None:
        """There is a URL, and no header that is ours to set."""
        if self.url is None:
            raise self.refuse("url", "url for remote_read is empty")
        _check_headers(self)
        HttpClient.check(self)


REMOTE_WRITE: Final = Listed(
    Of(RemoteWriteConfig), "[]*config.RemoteWriteConfig", "empty or null remote write config section"
)
REMOTE_READ: Final = Listed(
    Of(RemoteReadConfig), "[]*config.RemoteReadConfig", "empty or null remote read config section"
)


def refuse_same_names(what: str, configs: Iterable[RemoteWriteConfig | RemoteReadConfig]) -> None:
    """Raise UserError when two of a list have a name in common; those without one do not."""
    seen: set[str] = set()
    for config in configs:
        if config.name in seen:
            name = go_quote(config.name)
            raise config.refuse("name", f"found multiple {what} configs with job name {name}")
        if config.name:
            seen.add(config.name)
