"""A configuration as it was loaded: the main file, the jobs of all files, and what is wrong with them or has no effect."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import ClassVar, Final

from trimon.config.alerting import AlertingConfig
from trimon.config.globals import DEFAULT_INTERVAL_MS, GlobalConfig, RuntimeConfig
from trimon.config.globs import expand_globs, glob_error
from trimon.config.kinds import FilePath, Listed, Of
from trimon.config.model import Model, Shown, setting, zero_model
from trimon.config.otlp import OtlpConfig
from trimon.config.own.querybackends import QueryBackendConfig
from trimon.config.own.receivers import ReceiversConfig
from trimon.config.own.shipper import BlockShipperConfig
from trimon.config.remote import REMOTE_READ, REMOTE_WRITE, RemoteReadConfig, RemoteWriteConfig
from trimon.config.scrape import ScrapeConfig
from trimon.config.storage import RetentionConfig, StorageConfig
from trimon.config.support import NO_EFFECT, NO_EFFECT_IN_JOBS, Unsupported
from trimon.config.tracing import TracingConfig
from trimon.errors import Position, UserError
from trimon.gotext.strings import go_quote
from trimon.records import dataclass
from trimon.redaction import redacted
from trimon.units import parse_duration_ms

RETENTION_DEFAULT_MS: Final = parse_duration_ms("15d")
_QUERY_BACKENDS: Final = Listed(
    Of(QueryBackendConfig), "[]*config.QueryBackend", "empty or null query backend section"
)
_SCRAPE_CONFIGS: Final = Listed(
    Of(ScrapeConfig), "[]*config.ScrapeConfig", "empty or null scrape config section"
)


class ConfigError(UserError):
    """A configuration that cannot be taken, in Prometheus' words, which name the file; the position is apart."""

    def __init__(
        self, message: str, cause: UserError | None = None, position: Position | None = None
    ) -> None:
        """`position` where the error has no other cause."""
        super().__init__(redacted(message), cause.position if cause is not None else position)
        if cause is not None:
            self.places = cause.places

    def __str__(self) -> str:
        return self.message


class ScrapeFileError(ConfigError):
    """A scrape config file that cannot be taken. The message may quote the file, which can be any that the process may read."""

    def __init__(self, path: Path, cause: UserError) -> None:
        name = go_quote(str(path))
        super().__init__(f"{name}: {cause.message}", cause)
        where = f"line {cause.position.line}: " if cause.position.line else ""
        self.unquoted = f"{name}: {where}the file cannot be taken, `trimon check config` says why"
        """What may be told to who cannot read the file."""


def _rule_glob(text: str) -> str | None:
    return glob_error(text, "invalid rule file path")


def _scrape_glob(text: str) -> str | None:
    return glob_error(text, "invalid scrape config file path")


def _default_global() -> GlobalConfig:
    config = GlobalConfig(metric_name_escaping_scheme="allow-utf-8")
    config.check()
    return config


@dataclass(frozen=True, kw_only=True)
class MainFile(Model):
    """prometheus.yml as it stands in the file; in a loaded `Config` its jobs are complete."""

    section: ClassVar[str] = "config"

    global_: GlobalConfig = setting(
        Of(GlobalConfig), name="global", default_factory=_default_global, shown=Shown.ALWAYS
    )
    runtime: RuntimeConfig = setting(Of(RuntimeConfig), default_factory=RuntimeConfig)
    alerting: AlertingConfig = setting(Of(AlertingConfig), default_factory=AlertingConfig)
    rule_files: tuple[str, ...] = setting(Listed(FilePath(_rule_glob)), ())
    scrape_config_files: tuple[str, ...] = setting(Listed(FilePath(_scrape_glob)), ())
    scrape_configs: tuple[ScrapeConfig, ...] = setting(_SCRAPE_CONFIGS, ())
    storage: StorageConfig = setting(Of(StorageConfig), default_factory=StorageConfig, shown=Shown.ALWAYS)
    tracing: TracingConfig | None = setting(Of(TracingConfig))
    remote_write: tuple[RemoteWriteConfig, ...] = setting(REMOTE_WRITE, ())
    remote_read: tuple[RemoteReadConfig, ...] = setting(REMOTE_READ, ())
    otlp: OtlpConfig = setting(Of(OtlpConfig), default_factory=OtlpConfig)
    trimon_block_shipper: BlockShipperConfig | None = setting(Of(BlockShipperConfig), own=True)
    trimon_query_backends: tuple[QueryBackendConfig, ...] = setting(_QUERY_BACKENDS, (), own=True)
    trimon_receivers: ReceiversConfig = setting(
        Of(ReceiversConfig), default_factory=ReceiversConfig, own=True
    )

    def check(self) -> None:
        """A section that is null is as good as none, and so is one of zeros for the runtime."""
        if self.global_ == zero_model(GlobalConfig):
            object.__setattr__(self, "global_", _default_global())
        if self.runtime == zero_model(RuntimeConfig):
            object.__setattr__(self, "runtime", RuntimeConfig())


@dataclass(frozen=True, kw_only=True)
class ScrapeFile(Model):
    """A file that `scrape_config_files` names."""

    yaml_type: ClassVar[str] = "config.ScrapeConfigs"

    scrape_configs: tuple[ScrapeConfig, ...] = setting(_SCRAPE_CONFIGS, ())


@dataclass(frozen=True, kw_only=True)
class FlagDefaults:
    """What command line flags say for a file that does not say it itself."""

    retention: RetentionConfig = field(default_factory=lambda: RetentionConfig(time=RETENTION_DEFAULT_MS))
    extra_scrape_metrics: bool = False
    agent: bool = False
    """Whether sections are refused that need queries or rules."""
    strict: bool = False
    """Whether fields are refused that Prometheus does not have; in rule files too."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A loaded configuration. Never changes; a reload makes a new one.

    Two are equal when they ask for the same; comments and the order of maps do not count.
    """

    main: MainFile
    scrape_configs: tuple[ScrapeConfig, ...]
    """Complete jobs of the main file and, when those are good, of all scrape config files."""
    scrape_paths: tuple[Path, ...]
    path: Path
    scrape_files_error: ConfigError | None = None
    """What is wrong with the first bad scrape config file; the jobs are then those of the main file alone."""
    unset_variables: tuple[str, ...] = ()
    """Names in external_labels that the environment does not have."""
    unsupported: tuple[Unsupported, ...] = field(default=(), compare=False)
    """What the files ask for and this version does not do, in their order."""
    strict: bool = False
    """Whether rule files may have no fields that Prometheus does not have."""

    @property
    def global_(self) -> GlobalConfig:
        """The section `global`, environment variables expanded; that of a null document has defaults too."""
        return self.main.global_ if self.main.global_.scrape_interval else _default_global()

    @property
    def storage(self) -> StorageConfig:
        """The section `storage`."""
        return self.main.storage

    @property
    def without_effect(self) -> tuple[Unsupported, ...]:
        """What is given by name and means nothing here: sections of the main file, and fields of jobs."""
        sections = [
            Unsupported(name, reason, self.main.place(name))
            for name, reason in NO_EFFECT.items()
            if self.main.given(name)
        ]
        fields = [
            Unsupported(name, reason, job.place(name))
            for job in self.scrape_configs
            for name, reason in NO_EFFECT_IN_JOBS.items()
            if job.given(name) and getattr(job, name)
        ]
        return (*sections, *fields)

    @property
    def evaluation_interval_ms(self) -> int:
        """The step of rules and of subqueries without one."""
        return self.global_.evaluation_interval or DEFAULT_INTERVAL_MS

    def rule_paths(self) -> tuple[Path, ...]:
        """The rule files that exist now, in the order of their patterns. Blocks on the disk. Raises PatternError."""
        return expand_globs(self.main.rule_files)

    def job(self, name: str) -> ScrapeConfig | None:
        """The job of a name."""
        return next((job for job in self.scrape_configs if job.job_name == name), None)
