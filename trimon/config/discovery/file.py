"""`file_sd_configs`: targets in files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from trimon.config.discovery.source import SdConfig
from trimon.config.kinds import DURATION, FilePath, Listed
from trimon.config.model import setting
from trimon.gotext.strings import go_quote
from trimon.records import dataclass

_FILE_PATTERN: Final = re.compile(r"[^*]*(?:\*[^/]*)?\.(?:json|yml|yaml|JSON|YML|YAML)")


def _file_pattern(text: str) -> str | None:
    if _FILE_PATTERN.fullmatch(text):
        return None
    return f"path name {go_quote(text)} is not valid for file discovery"


@dataclass(frozen=True, kw_only=True)
class FileSdConfig(SdConfig):
    """Targets in files that somebody else writes."""

    yaml_type: ClassVar[str] = "file.plain"

    files: tuple[str, ...] = setting(Listed(FilePath(_file_pattern)), ())
    refresh_interval: int = setting(DURATION, 300_000)

    def check(self) -> None:
        """There is at least one file."""
        if not self.files:
            raise self.refuse("files", "file service discovery config must contain at least one path name")
        if self.refresh_interval <= 0:
            raise self.refuse("refresh_interval", "refresh_interval must be greater than 0")

    def discovery_options(self) -> Mapping[str, object]:
        """Patterns, and seconds between two readings."""
        return {"files": list(self.files), "refresh_s": self.refresh_interval / 1000}
