"""The part that sends samples elsewhere: the queues of remote write, and who keeps their set."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.metrics.remotewrite import remote_write_metrics
from trimon.actors.remotewrite.manager import RemoteWriter
from trimon.config.configuration import Config
from trimon.config.remote import RemoteWriteConfig
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import Fetch
from trimon.files import DiskFiles
from trimon.model.labels import labels_of
from trimon.peers.options import client_options
from trimon.peers.tokens.azuread import AzureAdTokens
from trimon.peers.tokens.bearer import BearerTokens, Token
from trimon.peers.tokens.googleiam import GoogleIamTokens
from trimon.server.parts.storage import StoragePart
from trimon.server.settings import Seams, Settings


class RemoteWritePart:
    """From the log to receivers."""

    def __init__(self, storage: StoragePart, settings: Settings, seams: Seams, reports: CrashReports) -> None:
        self._tokens: dict[int, tuple[RemoteWriteConfig, BearerTokens]] = {}
        self.queues: Pool[str] = Pool("remote-write-queues", reports=reports)
        self.writer = RemoteWriter(
            storage.store,
            storage.actor.replayed,
            self.queues,
            self._connect,
            DiskFiles(),
            seams.clock,
            seams.sending_threads,
            seams.log,
            settings.kept_log,
        )
        storage.actor.on_append = self.writer.appended
        seams.metrics.collect(remote_write_metrics(self.writer, lambda: storage.store.figures().head_max_ms))

    def configure(self, config: Config) -> None:
        """The receivers of a configuration. Raises UserError."""
        self._tokens.clear()
        self.writer.configure(config.main.remote_write, labels_of(config.global_.external_labels))

    def _connect(self, config: RemoteWriteConfig) -> Fetch:
        options = replace(client_options(config), any_address=config.round_robin_dns)
        if config.sigv4 is not None:
            from trimon.peers.sigv4 import SigV4  # noqa: PLC0415 # few sign, and all of AWS' keys come with it

            signer = SigV4(config.sigv4)
            options = replace(options, sign=signer, prepare=signer.prepare)
        elif config.azuread is not None or config.google_iam is not None:
            tokens = self._tokens_of(config)
            own = options.credentials
            options = replace(options, credentials=lambda: (*own(), *tokens()), prepare=tokens.prepare)
        return HttpFetch(options)

    def _tokens_of(self, config: RemoteWriteConfig) -> BearerTokens:
        """The tokens of a section, which all of its shards share."""
        known = self._tokens.get(id(config))
        if known is None or known[0] is not config:
            ask = _asking(config)
            known = self._tokens[id(config)] = (config, BearerTokens(ask))
        return known[1]


def _asking(config: RemoteWriteConfig) -> Callable[[], Awaitable[Token]]:
    if config.azuread is not None:
        return AzureAdTokens(config.azuread).ask
    assert config.google_iam is not None
    return GoogleIamTokens(config.google_iam).ask
