"""Loading prometheus.yml: text to `Config`, with every error at its file, line and column."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from trimon import limits
from trimon.config.globals import GlobalConfig, RuntimeConfig, StorageConfig
from trimon.config.kinds import FilePath, Listed, Of, quoted
from trimon.config.model import Model, Source, setting
from trimon.config.scrape import ScrapeConfig
from trimon.config.yamltree import Document
from trimon.errors import Position, UserError

M = TypeVar("M", bound=Model)

_GLOB: Final = re.compile(r"[^*]*(?:\*[^/]*)?")

_SCRAPE_CONFIGS: Final = Listed(
    Of(ScrapeConfig), "[]*config.ScrapeConfig", "empty or null scrape config section"
)


def _rule_glob(text: str) -> str | None:
    return None if _GLOB.fullmatch(text) else f"invalid rule file path {quoted(text)}"


def _scrape_glob(text: str) -> str | None:
    return None if _GLOB.fullmatch(text) else f"invalid scrape config file path {quoted(text)}"


def _default_global() -> GlobalConfig:
    config = GlobalConfig()
    config.check()
    return config


@dataclass(frozen=True, kw_only=True)
class MainFile(Model):
    """prometheus.yml as it stands in the file; in a loaded `Config` its jobs are complete."""

    section: ClassVar[str] = "config"

    global_: GlobalConfig = setting(
        Of(GlobalConfig, reads_null=True), name="global", default_factory=_default_global, omit_empty=False
    )
    runtime: RuntimeConfig = setting(Of(RuntimeConfig), default_factory=RuntimeConfig, omit_empty=False)
    rule_files: tuple[str, ...] = setting(Listed(FilePath(_rule_glob)), ())
    scrape_config_files: tuple[str, ...] = setting(Listed(FilePath(_scrape_glob)), ())
    scrape_configs: tuple[ScrapeConfig, ...] = setting(_SCRAPE_CONFIGS, ())
    storage: StorageConfig = setting(Of(StorageConfig), default_factory=StorageConfig)


@dataclass(frozen=True, kw_only=True)
class ScrapeFile(Model):
    """A file that `scrape_config_files` names."""

    yaml_type: ClassVar[str] = "config.ScrapeConfigs"

    scrape_configs: tuple[ScrapeConfig, ...] = setting(_SCRAPE_CONFIGS, ())


@dataclass(frozen=True, kw_only=True)
class Config:
    """A loaded configuration. Never changes; a reload makes a new one.

    Two are equal when they ask for the same; comments and the order of maps do not count.
    """

    main: MainFile
    """The main file, its jobs complete, variables expanded: what /api/v1/status/config shows."""
    scrape_configs: tuple[ScrapeConfig, ...]
    """All jobs, those of the main file first, names distinct."""
    rule_paths: tuple[Path, ...]
    """The files that match `rule_files` now: ascending within a pattern, each once."""
    scrape_paths: tuple[Path, ...] = ()
    """The files that match `scrape_config_files` now."""
    path: Path = Path()
    """The main file; relative paths are joined to its directory already."""
    warnings: tuple[str, ...] = ()

    @property
    def global_(self) -> GlobalConfig:
        """The section `global`, defaults filled in."""
        return self.main.global_

    @property
    def storage(self) -> StorageConfig:
        """The section `storage`."""
        return self.main.storage

    def job(self, name: str) -> ScrapeConfig | None:
        """The job of a name."""
        return next((job for job in self.scrape_configs if job.job_name == name), None)


def load(path: Path | str, *, environment: Mapping[str, str] | None = None) -> Config:
    """Read a prometheus.yml and the scrape config files it names. Blocks on the disk.

    `environment` replaces the process' own for external_labels. Raises UserError, with the position where
    there is one.
    """
    path = Path(path)
    return load_text(read_text(path, limits.CONFIG_FILE_BYTES_MAX), path, environment=environment)


def load_text(text: str, path: Path | str, *, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration of a text; `path` is what errors name and relative paths are joined to.

    Globs are expanded and scrape config files read from the disk. Raises UserError.
    """
    path = Path(path)
    main = _read(MainFile, text, path)
    expanded, warnings = main.global_.expanded(os.environ if environment is None else environment)
    jobs = tuple(job.complete(expanded) for job in main.scrape_configs)
    scrape_paths = expand_globs(main.scrape_config_files)
    others: list[ScrapeConfig] = []
    for scrape_path in scrape_paths:
        file = _read(ScrapeFile, read_text(scrape_path, limits.CONFIG_FILE_BYTES_MAX), scrape_path)
        others += [job.complete(expanded) for job in file.scrape_configs]
    every = (*jobs, *others)
    _refuse_doubles(every)
    return Config(
        main=replace(main, global_=expanded, scrape_configs=jobs),
        scrape_configs=every,
        rule_paths=expand_globs(main.rule_files),
        scrape_paths=scrape_paths,
        path=path,
        warnings=warnings,
    )


def read_text(path: Path, bytes_max: int) -> str:
    """The text of a file of at most `bytes_max`. Raises UserError that names the file."""
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"open {path}: {reason}") from None
    if len(data) > bytes_max:
        raise UserError(f"file is larger than {bytes_max} bytes", Position(file=str(path)))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError("yaml: invalid UTF-8", Position(line, 0, str(path))) from None


def expand_globs(patterns: tuple[str, ...]) -> tuple[Path, ...]:
    """The files that match the patterns, in the order of the patterns, each file once.

    A pattern without a wildcard is its file, whether it exists or not; only the last element may have one.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        whole = Path(pattern)
        if re.search(r"[*?\[]", whole.name):
            matches = sorted(whole.parent.glob(whole.name))
            found.update(dict.fromkeys(match for match in matches if match.is_file()))
        else:
            found[whole] = None
    return tuple(found)


def _read(model: type[M], text: str, path: Path) -> M:
    document = Document(text, str(path))
    if document.root is None:
        filled = model()
        filled.check()
        return filled
    return model.read(document.root, Source(document, path.parent))


def _refuse_doubles(jobs: tuple[ScrapeConfig, ...]) -> None:
    seen: set[str] = set()
    for job in jobs:
        if job.job_name in seen:
            raise job.refuse(
                "job_name", f"found multiple scrape configs with job name {quoted(job.job_name)}"
            )
        seen.add(job.job_name)
