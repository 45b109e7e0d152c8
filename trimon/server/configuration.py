"""The configuration as it is now, and all that a (re)load reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Protocol

from trimon import limits
from trimon.actors.logfiles import check_log
from trimon.config.configuration import Config
from trimon.config.globs import PatternError
from trimon.config.http import TlsConfig
from trimon.config.scrape import ScrapeConfig
from trimon.discovery.registry import Registry, check_plugins
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.log import Log
from trimon.peers.tls import check_certificates
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass
from trimon.rules.file import load_rules
from trimon.rules.spec import GroupSpec, RuleDefaults


class RulesError(UserError):
    """Rule files that cannot be taken; `at_start` is how a start words it."""

    def __init__(self, message: str, cause: UserError, at_start: str) -> None:
        super().__init__(message, cause.position)
        self.cause = cause
        self.at_start = at_start


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """All that a (re)load reads: the configuration and the rule files it names, or what is wrong with those."""

    config: Config
    rules: tuple[GroupSpec, ...] = ()
    rules_error: RulesError | None = None
    logs_error: UserError | None = None
    """A log file that cannot be opened."""
    certificate_errors: Mapping[str, UserError] = field(default_factory=dict)
    """By part what is wrong with certificates and keys of those it is to connect to."""


def complete(config: Config, query: QueryOptions, registry: Registry) -> LoadedConfiguration:
    """The configuration with its rules, when its plug-ins can be loaded. Blocks on the disk. Raises UserError.

    Bad rule files are no error of the load: a start refuses them, a reload goes on with the old rules.
    """
    for error in check_plugins(config, registry):
        raise error
    return replace(
        with_rules(config, query),
        logs_error=_logs_error(config),
        certificate_errors=_certificate_errors(config),
    )


def _certificate_errors(config: Config) -> dict[str, UserError]:
    """What is wrong first with the certificates of each part; those of targets and discovery are read when they are asked."""
    main, found = config.main, {}
    shipper, tracing = main.trimon_block_shipper, main.tracing
    peers: dict[str, Iterable[TlsConfig]] = {
        "notify": (each.tls_config for each in main.alerting.alertmanagers),
        "remote_write": (each.tls_config for each in main.remote_write),
        "remote_read": (each.tls_config for each in main.remote_read),
        "query_backends": (each.tls_config for each in main.trimon_query_backends),
        "block_shipper": () if shipper is None else (shipper.tls_config,),
        "tracing": () if tracing is None or tracing.insecure else (tracing.tls_config,),
    }
    for part, blocks in peers.items():
        try:
            for block in blocks:
                check_certificates(block)
        except UserError as error:
            found[part] = error
    return found


def _logs_error(config: Config) -> UserError | None:
    """The first log file that cannot be opened; the others are there afterwards, as the parts will open them."""
    main = config.global_
    named = [("query log file", main.query_log_file, main.place("query_log_file"))]
    for job in config.scrape_configs:
        source = job if job.given("scrape_failure_log_file") else main
        place = source.place("scrape_failure_log_file")
        named.append(("scrape failure log file", job.scrape_failure_log_file, place))
    for what, path, place in named:
        try:
            if path:
                check_log(path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            return UserError(f"could not open {what} {go_quote(path)}: {reason}", place)
    return None


def with_rules(config: Config, query: QueryOptions) -> LoadedConfiguration:
    """The configuration with its rules, or what is wrong with them. Blocks on the disk."""
    try:
        return LoadedConfiguration(config, load_rules(config.rule_paths(), _rule_defaults(config, query)))
    except PatternError as error:
        detail = f"{error.pattern}: {error.message}"
        problem = RulesError(
            f"error retrieving rule files for {detail}",
            error,
            f"failed retrieving rule files for {go_quote(error.pattern)}: {error.message}",
        )
    except UserError as error:
        detail = f"parse rules from file {go_quote(error.position.file)}: {error}"
        problem = RulesError("error loading rules, previous rule set restored", error, detail)
    return LoadedConfiguration(config, rules_error=problem)


def _rule_defaults(config: Config, query: QueryOptions) -> RuleDefaults:
    return RuleDefaults(
        config.evaluation_interval_ms, config.global_.rule_query_offset, query, strict=config.strict
    )


def warn_of(loaded: LoadedConfiguration, log: Log) -> None:
    """Tell what a configuration asks for in vain."""
    for name in loaded.config.unset_variables:
        log.warning("Empty environment variable", name=name)
    unsupported = loaded.config.unsupported
    for each in unsupported[: limits.ERRORS_TOLD_MAX]:
        log.warning(
            "nothing acts on this setting yet",
            setting=each.name,
            consequence=each.consequence,
            at=str(each.place),
        )
    if (more := len(unsupported) - limits.ERRORS_TOLD_MAX) > 0:
        log.warning("nothing acts on further settings yet", settings=more)
    idle = loaded.config.without_effect
    for each in idle[: limits.ERRORS_TOLD_MAX]:
        log.warning(
            "this setting has no effect", setting=each.name, reason=each.consequence, at=str(each.place)
        )
    if (more := len(idle) - limits.ERRORS_TOLD_MAX) > 0:
        log.warning("further settings have no effect", settings=more)


class ConfigurationFile(Protocol):
    """Where the configuration comes from."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    def at_reload(self) -> LoadedConfiguration:
        """The configuration as it is now. Blocks on the disk. Raises UserError."""
        ...

    def draft(self, text: str, name: str) -> LoadedConfiguration:
        """The configuration of a text, as if it stood in the file; errors call it `name`. Blocks. Raises UserError."""
        ...


class CurrentConfiguration:
    """What is configured now; a reload replaces `loaded`, and everybody asks here."""

    def __init__(self, loaded: LoadedConfiguration, query: QueryOptions) -> None:
        self.loaded = loaded
        self._query = self._asked = query

    @property
    def config(self) -> Config:
        """The configuration file."""
        return self.loaded.config

    def scrape_config(self, job: str) -> ScrapeConfig | None:
        """The section of a job; None when there is none."""
        return next((each for each in self.config.scrape_configs if each.job_name == job), None)

    def query_options(self) -> QueryOptions:
        """How queries run; the default step of subqueries is the configuration's."""
        step_ms = self.config.evaluation_interval_ms
        if self._asked.subquery_step_ms != step_ms:
            self._asked = replace(self._query, subquery_step_ms=step_ms)
        return self._asked

    def rule_defaults(self) -> RuleDefaults:
        """How rule files are read."""
        return _rule_defaults(self.config, self._query)
