"""Loading prometheus.yml: text to `Config`.

What the main file says wrong is an error of the load. What is wrong in the files it names (`scrape_config_files`) is
kept in the `Config`: such a file stops a start and `check config`, but at a reload only the part it concerns stays
as it was, as in Prometheus.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from trimon import limits
from trimon.collector import uncollected
from trimon.config.alerting import AlertingConfig
from trimon.config.globals import DEFAULT_INTERVAL_MS, GlobalConfig, RuntimeConfig
from trimon.config.globs import PatternError, expand_glob, expand_globs, glob_error
from trimon.config.kinds import FilePath, Listed, Of
from trimon.config.model import Model, Shown, Source, setting, zero_model
from trimon.config.otlp import OtlpConfig
from trimon.config.own.querybackends import QueryBackendConfig
from trimon.config.own.receivers import ReceiversConfig
from trimon.config.own.shipper import BlockShipperConfig
from trimon.config.remote import (
    REMOTE_READ,
    REMOTE_WRITE,
    RemoteReadConfig,
    RemoteWriteConfig,
    refuse_same_names,
)
from trimon.config.scrape import ScrapeConfig
from trimon.config.storage import RetentionConfig, StorageConfig
from trimon.config.support import NO_EFFECT, NO_EFFECT_IN_JOBS, Unsupported
from trimon.config.tracing import TracingConfig
from trimon.config.yaml.tree import Document, Node, Shape
from trimon.errors import Position, UserError
from trimon.gotext.strings import go_quote
from trimon.openfiles import read_at_once, read_start
from trimon.records import dataclass
from trimon.redaction import REDACTOR, looks_secret, redacted
from trimon.units import parse_duration_ms

M = TypeVar("M", bound=Model)

RETENTION_DEFAULT_MS: Final = parse_duration_ms("15d")
_NOT_IN_AGENT_MODE: Final = (
    "alerting",
    "rule_files",
    "remote_read",
    "trimon_block_shipper",
    "trimon_query_backends",
)
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


# `utf-16` reads the mark itself, and leaves it out
_MARKED: Final = {
    codecs.BOM_UTF16_LE: ("utf-16", "UTF-16"),
    codecs.BOM_UTF16_BE: ("utf-16", "UTF-16"),
}


def load(
    path: Path | str,
    *,
    environment: Mapping[str, str] | None = None,
    defaults: FlagDefaults | None = None,
) -> Config:
    """Read a prometheus.yml and the scrape config files it names. Blocks on the disk.

    `environment` replaces the process' own for external_labels. Raises ConfigError.
    """
    text = read_text(Path(path), limits.CONFIG_FILE_BYTES_MAX)
    return load_text(text, path, environment=environment, defaults=defaults)


def load_text(
    text: str,
    path: Path | str,
    *,
    environment: Mapping[str, str] | None = None,
    defaults: FlagDefaults | None = None,
    name: str = "",
) -> Config:
    """The configuration of a text; relative paths are joined to the directory of `path`. Errors name it, or `name`.

    Scrape config files are read from the disk. Raises ConfigError.
    """
    with uncollected():
        return _loaded(
            text,
            Path(path),
            os.environ if environment is None else environment,
            defaults or FlagDefaults(),
            name or str(path),
        )


def _loaded(
    text: str, path: Path, environment: Mapping[str, str], defaults: FlagDefaults, name: str
) -> Config:
    try:
        missing: list[Unsupported] = []
        read = _read(MainFile, text, path, missing, strict=defaults.strict, name=name)
        main, unset = _main_file(read, environment, defaults)
    except UserError as error:
        raise ConfigError(f"parsing YAML file {name}: {error.message}", error) from None
    if defaults.agent:
        for field_name in _NOT_IN_AGENT_MODE:
            if getattr(main, field_name) not in ((), None, AlertingConfig()):
                message = f"field {field_name} is not allowed in agent mode"
                raise ConfigError(message, position=main.place(field_name))
    scrape_paths: tuple[Path, ...] = ()
    others: tuple[ScrapeConfig, ...] = ()
    problem = None
    try:
        # A file that two patterns name is read twice, and refused then: its jobs are there twice.
        scrape_paths = tuple(path for pattern in main.scrape_config_files for path in expand_glob(pattern))
        found: list[Unsupported] = []
        others = _jobs_of_files(scrape_paths, main, found, strict=defaults.strict)
        missing += found
    except ConfigError as error:
        problem = error
    except PatternError as error:
        problem = ConfigError(
            f"invalid scrape config file pattern {go_quote(error.pattern)}: {error.message}"
        )
    return Config(
        main=main,
        scrape_configs=(*main.scrape_configs, *others),
        scrape_paths=scrape_paths,
        path=path,
        scrape_files_error=problem,
        unset_variables=unset,
        unsupported=tuple(missing),
        strict=defaults.strict,
    )


def _main_file(
    main: MainFile, environment: Mapping[str, str], defaults: FlagDefaults
) -> tuple[MainFile, tuple[str, ...]]:
    """The main file as it holds, with defaults and complete jobs, and names that the environment does not have."""
    global_ = main.global_
    if defaults.extra_scrape_metrics and not global_.given("extra_scrape_metrics"):
        global_ = replace(global_, extra_scrape_metrics=True)
    global_, unset = global_.expanded(environment)
    seen: set[str] = set()
    jobs = []
    for job in main.scrape_configs:
        jobs.append(job.complete(global_))
        if job.job_name in seen:
            name = go_quote(job.job_name)
            raise job.refuse("job_name", f"found multiple scrape configs with job name {name}")
        seen.add(job.job_name)
    legacy = global_.metric_name_validation_scheme == "legacy"
    main.alerting.validate(legacy=legacy)
    for remote in main.remote_write:
        remote.validate(legacy=legacy)
    refuse_same_names("remote write", main.remote_write)
    refuse_same_names("remote read", main.remote_read)
    main.otlp.check_scheme(legacy=legacy)
    storage = main.storage.filled(defaults.retention)
    return replace(main, global_=global_, scrape_configs=tuple(jobs), storage=storage), unset


def _jobs_of_files(
    paths: tuple[Path, ...], main: MainFile, missing: list[Unsupported], *, strict: bool
) -> tuple[ScrapeConfig, ...]:
    first_in = dict.fromkeys((job.job_name for job in main.scrape_configs), "main config file")
    jobs = []
    for path in paths:
        try:
            text = read_text(path, limits.CONFIG_FILE_BYTES_MAX, waits=False)
            for job in _read(ScrapeFile, text, path, missing, strict=strict).scrape_configs:
                jobs.append(job.complete(main.global_))
                if job.job_name in first_in:
                    name, where = go_quote(job.job_name), first_in[job.job_name]
                    message = f"found multiple scrape configs with job name {name}, first found in {where}"
                    raise job.refuse("job_name", message)
                first_in[job.job_name] = go_quote(str(path))
        except UserError as error:
            raise ScrapeFileError(path, error) from None
    return tuple(jobs)


def read_text(path: Path, bytes_max: int, *, lenient: bool = False, waits: bool = True) -> str:
    """The text of a file, or of a pipe that is fed now, of at most `bytes_max`. Raises UserError that names the file.

    A `lenient` reading replaces what is no UTF-8. One that never `waits`, of a file that a pattern found, refuses pipes.
    """
    try:
        if waits:
            data = read_start(path, bytes_max + 1, limits.PIPE_READ_S)
        else:
            data = read_at_once(path, bytes_max + 1)
    except OSError as error:
        verb = "read" if isinstance(error, IsADirectoryError) else "open"
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{verb} {path}: {reason}") from None
    if len(data) > bytes_max:
        raise UserError(f"file is larger than {bytes_max} bytes", Position(file=str(path)))
    return data.decode("utf-8", "replace") if lenient else _decoded(data, path)


def _decoded(data: bytes, path: Path) -> str:
    """UTF-8, or what a byte order mark says, as YAML has it."""
    encoding, name = next(
        (found for mark, found in _MARKED.items() if data.startswith(mark)), ("utf-8", "UTF-8")
    )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        raise UserError(f"yaml: invalid {name}", Position(before.count("\n") + 1, 0, str(path))) from None


def _read(
    model: type[M], text: str, path: Path, missing: list[Unsupported], *, strict: bool, name: str = ""
) -> M:
    """A model of a whole text; what it asks for and is not there comes to `missing`, in the order of the text."""
    document = Document(text, name or str(path))
    if document.root is None:
        filled = model()
        filled.check()
        return filled
    if document.root.is_null:
        return zero_model(model)
    found: list[Unsupported] = []
    try:
        read = model.read(document.root, Source(document, path.parent, strict=strict, missing=found))
    except UserError:
        # the error may quote what stands in the place of a secret and was not read as one
        _remember_secrets(document.root)
        raise
    missing += sorted(found, key=lambda each: (each.place.line, each.place.column))
    return read


def _remember_secrets(root: Node) -> None:
    """Tells the redactor of all texts under names that look like secrets, and of passwords in URLs, wherever they stand."""
    waiting = [(root, "")]
    seen: set[tuple[int, bool]] = set()
    while waiting:
        at, name = waiting.pop()
        secret = looks_secret(name) or name == "secrets"
        if (id(at), secret) in seen:  # an alias of an alias of an alias
            continue
        seen.add((id(at), secret))
        if at.shape is Shape.SCALAR:
            REDACTOR.add_url(at.value)
            if secret:
                REDACTOR.add(at.value)
        elif at.shape is Shape.LIST:
            waiting += [(item, name) for item in at.value]
        else:
            keys, values = at.value[::2], at.value[1::2]
            waiting += [
                (value, key.value if key.shape is Shape.SCALAR else "")
                for key, value in zip(keys, values, strict=True)
            ]
