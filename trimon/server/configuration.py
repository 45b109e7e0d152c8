"""The configuration as it is now, and all that a (re)load reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trimon.config.load import Config
from trimon.discovery.registry import Registry, check_plugins
from trimon.query.language.options import QueryOptions
from trimon.rules.file import GroupSpec, RuleDefaults, load_rules


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that a (re)load reads: the configuration and the rule files it names."""

    config: Config
    rules: tuple[GroupSpec, ...] = ()


def complete(config: Config, query: QueryOptions, registry: Registry) -> Loaded:
    """The configuration with its rules, when its plug-ins can be loaded. Blocks on the disk. Raises UserError."""
    for error in check_plugins(config, registry):
        raise error
    main = config.global_
    defaults = RuleDefaults(main.evaluation_interval, main.rule_query_offset, query)
    return Loaded(config, load_rules(config.rule_paths, defaults))


class Current:
    """What is configured now; a reload replaces `loaded`, and everybody asks here."""

    def __init__(self, loaded: Loaded, query: QueryOptions) -> None:
        self.loaded = loaded
        self._query = query

    @property
    def config(self) -> Config:
        """The configuration file."""
        return self.loaded.config

    def query_options(self) -> QueryOptions:
        """How queries run; the default step of subqueries is the configuration's."""
        return replace(self._query, subquery_step_ms=self.config.global_.evaluation_interval)
