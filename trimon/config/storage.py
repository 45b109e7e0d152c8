"""The section `storage`."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from trimon.config.kinds import DURATION, SIZE, Number, Of, Text, Whole
from trimon.config.model import Model, Shown, setting
from trimon.gotext.strings import go_quote
from trimon.records import dataclass
from trimon.units import format_size


@dataclass(frozen=True, kw_only=True)
class RetentionConfig(Model):
    """How long blocks are kept. 0 means no limit of that kind."""

    yaml_type: ClassVar[str] = "config.TSDBRetentionConfig"

    time: int = setting(DURATION, 0)
    size: int = setting(SIZE, 0)
    percentage: float = setting(
        Number(0, 100, "'storage.tsdb.retention.percentage' must be in the range [0, 100], got {}"), 0.0
    )

    def check(self) -> None:
        """No negative size."""
        if self.size < 0:
            raise self.refuse(
                "size",
                "'storage.tsdb.retention.size' must be greater than or equal to 0, "
                f"got {format_size(self.size)}",
            )


def _encoding(text: str) -> str | None:
    if text in ("", "xor", "xor2"):
        return None
    return (
        "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, "
        f"got {go_quote(text)}"
    )


@dataclass(frozen=True, kw_only=True)
class ChunkEncodingConfig(Model):
    """How Prometheus packs floats. Blocks of trimon hold columns: the choice is read, and means nothing here."""

    yaml_type: ClassVar[str] = "config.ChunkEncodingConfig"

    floats: str = setting(Text(_encoding), "")


@dataclass(frozen=True, kw_only=True)
class TsdbConfig(Model):
    """Local storage. `retention` is None when the file does not have it: then flags and defaults apply."""

    section: ClassVar[str] = "tsdb"

    out_of_order_ms: int = setting(Whole(go_type="int64"), 0, name="outofordertimewindow", shown=Shown.ALWAYS)
    """`out_of_order_time_window` in ms, which Prometheus shows; given in a file, it means nothing."""
    out_of_order_time_window: int = setting(DURATION, 0)
    stale_series_compaction_threshold: float = setting(Number(), 0.0)
    chunk_encoding: ChunkEncodingConfig = setting(
        Of(ChunkEncodingConfig), default_factory=ChunkEncodingConfig
    )
    retention: RetentionConfig | None = setting(Of(RetentionConfig))

    def check(self) -> None:
        """The shown milliseconds are those of the duration."""
        object.__setattr__(self, "out_of_order_ms", self.out_of_order_time_window)


@dataclass(frozen=True, kw_only=True)
class ExemplarsConfig(Model):
    """The exemplar store."""

    yaml_type: ClassVar[str] = "config.ExemplarsConfig"

    max_exemplars: int = setting(Whole(go_type="int64"), 100_000)


@dataclass(frozen=True, kw_only=True)
class StorageConfig(Model):
    """Everything under `storage`."""

    yaml_type: ClassVar[str] = "config.StorageConfig"

    tsdb: TsdbConfig | None = setting(Of(TsdbConfig))
    exemplars: ExemplarsConfig | None = setting(Of(ExemplarsConfig))

    @property
    def retention(self) -> RetentionConfig | None:
        """What the file, or whoever filled the section, says of retention."""
        return self.tsdb.retention if self.tsdb is not None else None

    @property
    def out_of_order_ms(self) -> int:
        """How far behind the newest sample one may be."""
        return self.tsdb.out_of_order_time_window if self.tsdb is not None else 0

    @property
    def exemplars_max(self) -> int:
        """Most exemplars kept."""
        return (self.exemplars or ExemplarsConfig()).max_exemplars

    def filled(self, retention: RetentionConfig) -> StorageConfig:
        """The same, with this retention when the file says nothing of it."""
        tsdb = self.tsdb or TsdbConfig()
        return replace(self, tsdb=tsdb if tsdb.retention is not None else replace(tsdb, retention=retention))
