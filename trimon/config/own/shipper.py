"""The section `trimon_block_shipper`: finished blocks copied to an S3-compatible store. Ours; off unless it is there."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from trimon.config.cloudauth import SigV4Config
from trimon.config.http import HttpClient
from trimon.config.kinds import DURATION, AnyUrl, Mapped, Of, Pairs, Text
from trimon.config.model import Model, Shown, setting
from trimon.config.secret import SecretUrl
from trimon.gotext.strings import go_quote
from trimon.model.labels import is_legacy_label_name
from trimon.records import dataclass

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX: Final = re.compile(r"(?:[A-Za-z0-9_.-]+/)*[A-Za-z0-9_.-]+")
_SECOND_MS: Final = 1000


def _label_name(name: str) -> str | None:
    return None if is_legacy_label_name(name) else f"{go_quote(name)} is not a valid label name"


@dataclass(frozen=True, kw_only=True)
class BlockShipperConfig(HttpClient, Model):
    """Where blocks are copied, in Thanos' layout."""

    yaml_type: ClassVar[str] = "config.BlockShipper"
    inherited_before: ClassVar[str] = "sigv4"
    section: ClassVar[str] = "trimon_block_shipper"

    bucket: str = setting(Text(), "", shown=Shown.ALWAYS)
    endpoint: SecretUrl | None = setting(AnyUrl())
    prefix: str = setting(Text(), "")
    labels: Pairs = setting(Mapped(Text(), "map[string]string", _label_name), ())
    interval: int = setting(DURATION, 30_000)
    timeout: int = setting(DURATION, 600_000)
    sigv4: SigV4Config = setting(Of(SigV4Config), default_factory=SigV4Config)

    def check(self) -> None:
        """There is a bucket, and a place for it."""
        if not _BUCKET.fullmatch(self.bucket):
            raise self.refuse(
                "bucket",
                f"{go_quote(self.bucket)} is no name of a bucket: 3 to 63 letters (a-z), digits, . and - are wanted",
            )
        if self.prefix and not _PREFIX.fullmatch(self.prefix):
            raise self.refuse(
                "prefix",
                f"{go_quote(self.prefix)} is no prefix: parts of letters, digits, _ . - and / between",
            )
        if self.endpoint is None and not self.sigv4.region:
            raise self.refuse("endpoint", "an endpoint, or the region of AWS in sigv4, is wanted")
        for name in ("interval", "timeout"):
            if getattr(self, name) < _SECOND_MS:
                raise self.refuse(name, f"{name} must be at least 1s")
        HttpClient.check(self)

    @property
    def base(self) -> str:
        """The URL below which objects are."""
        place = self.endpoint.reveal() if self.endpoint else f"https://s3.{self.sigv4.region}.amazonaws.com"
        return "/".join(part.strip("/") for part in (place, self.bucket, self.prefix) if part)
