"""The part that copies finished blocks to an object store."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.restarts import RestartPolicy
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.metrics.shipper import shipper_metrics
from trimon.actors.storage.shipper import BlockShipper, ShipperCounts, ShipperPlace
from trimon.config.configuration import Config
from trimon.config.dump import fingerprint
from trimon.config.own.shipper import BlockShipperConfig
from trimon.errors import OperatingError, UserError
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import Fetch
from trimon.files import DiskFiles
from trimon.peers.options import client_options
from trimon.server.parts.storage import StoragePart
from trimon.server.settings import Seams
from trimon.storage.prometheus.thanos import FOLDER, ShippedBlocks

POLICY: Final = RestartPolicy(retry_first_s=120.0)


class ShipperPart:
    """From blocks to a bucket."""

    def __init__(self, storage: StoragePart, seams: Seams, reports: CrashReports) -> None:
        self.pool: Pool[str] = Pool("block-shipper", reports=reports)
        self.counts = ShipperCounts()
        self._store = storage.store
        self._seams = seams
        self._actor: BlockShipper | None = None
        self._shipped: ShippedBlocks | None = None
        seams.metrics.collect(shipper_metrics(self.counts, self._waiting))

    def configure(self, config: Config) -> None:
        """The bucket of a configuration; None: nothing is copied. Raises UserError for blocks that would have no labels."""
        section = config.main.trimon_block_shipper
        if section is None:
            self._shipped = self._actor = None
            self._store.hold_blocks(None)
            self.pool.reconcile({})
            return
        labels = dict((*config.global_.external_labels, *section.labels))
        if not labels:
            raise UserError(
                "trimon_block_shipper: blocks need labels that tell them from others': external_labels or labels",
                section.place(),
            )
        shipped = self._shipped or self._known()
        self._shipped = shipped
        self._store.hold_blocks(shipped.is_held)
        place = ShipperPlace(section, labels)
        spec = ChildSpec(
            section.bucket,
            lambda: self._made(place, shipped),
            restart=Restart.ALWAYS,
            policy=POLICY,
            version=(fingerprint("shipper", (section,)), tuple(sorted(labels.items()))),
        )
        self.pool.reconcile({section.bucket: spec})

    def _known(self) -> ShippedBlocks:
        shipped = ShippedBlocks(DiskFiles(), self._store.options.path / FOLDER)
        try:
            shipped.load()
        except OperatingError as error:
            # All blocks are looked for in the bucket then, which costs a request each.
            self._seams.log.error("which blocks were copied is not known", err=str(error))
        return shipped

    def _made(self, place: ShipperPlace, shipped: ShippedBlocks) -> BlockShipper:
        seams = self._seams
        self._actor = BlockShipper(
            place, self._store, shipped, _connect, seams.sending_threads, seams.clock, seams.log, self.counts
        )
        return self._actor

    def _waiting(self) -> int:
        return self._actor.waiting() if self._actor is not None else 0


def _connect(config: BlockShipperConfig) -> Fetch:
    from trimon.peers.sigv4 import SigV4  # noqa: PLC0415 # few ship blocks, and all of AWS' keys come with it

    signer = SigV4(config.sigv4, service="s3")
    return HttpFetch(replace(client_options(config), sign=signer, prepare=signer.prepare))
