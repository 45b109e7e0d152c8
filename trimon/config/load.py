"""Loading prometheus.yml: text to `Config`.

What the main file says wrong is an error of the load. What is wrong in the files it names (`scrape_config_files`) is
kept in the `Config`: such a file stops a start and `check config`, but at a reload only the part it concerns stays
as it was, as in Prometheus.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from trimon import limits
from trimon.collector import uncollected
from trimon.config.alerting import AlertingConfig
from trimon.config.configuration import (
    Config,
    ConfigError,
    FlagDefaults,
    MainFile,
    ScrapeFile,
    ScrapeFileError,
)
from trimon.config.filetext import read_text
from trimon.config.globs import PatternError, expand_glob
from trimon.config.model import Model, Source, zero_model
from trimon.config.remote import (
    refuse_same_names,
)
from trimon.config.scrape import ScrapeConfig
from trimon.config.support import Unsupported
from trimon.config.yaml.tree import Document, Node, Shape
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.redaction import REDACTOR, looks_secret

M = TypeVar("M", bound=Model)

_NOT_IN_AGENT_MODE: Final = (
    "alerting",
    "rule_files",
    "remote_read",
    "trimon_block_shipper",
    "trimon_query_backends",
)


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
