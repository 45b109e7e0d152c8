"""Engines that are asked for the part of a query that local samples do not go back to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from trimon.config.own.querybackends import QueryBackendConfig
from trimon.errors import OperatingError
from trimon.fetch.request import Fetch, FetchRequest
from trimon.gotext.times import rfc3339
from trimon.log import Log
from trimon.model.labels import Labels
from trimon.model.matcher import equal_to
from trimon.offload import Offload
from trimon.query.answer.backendanswer import BackendAnswerError, joined, read_backend
from trimon.query.answer.result import QueryResult
from trimon.query.engine import change_selectors
from trimon.query.execution.grid import Grid
from trimon.query.language.nodes import VectorSelector
from trimon.query.language.options import QueryOptions
from trimon.query.reach import first_local_step
from trimon.records import dataclass
from trimon.redaction import redacted, shown_url

ANSWER_BYTES_MAX: Final = 64 * 2**20
_OK: Final = 200


@dataclass(slots=True)
class BackendCounts:
    """What one engine was asked."""

    queries: int = 0
    failures: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class BackendPart:
    """The part of a query that was asked of an engine: its steps come first, `local` are left."""

    result: QueryResult | None
    local: Grid | None
    warnings: tuple[str, ...]

    def over(self, evaluate: Callable[[Grid], QueryResult]) -> QueryResult:
        """The whole result; `evaluate` gives that of local steps."""
        if self.local is None:
            assert self.result is not None, "an engine that failed leaves all steps to us"
            result = self.result
        elif self.result is None:
            result = evaluate(self.local)
        else:
            result = joined(self.result, evaluate(self.local))
        return replace(result, warnings=(*self.warnings, *result.warnings))


class QueryBackends:
    """Asks the engines of the configuration, each when those before it failed. Only on the loop's thread."""

    def __init__(
        self,
        begin_ms: Callable[[], int],
        connect: Callable[[QueryBackendConfig], Fetch],
        offload: Offload,
        log: Log,
    ) -> None:
        self.counts: dict[str, BackendCounts] = {}
        self._configs: tuple[QueryBackendConfig, ...] = ()
        self._external: Labels = ()
        self._begin_ms = begin_ms
        self._connect = connect
        self._offload = offload
        self._log = log

    def configure(self, configs: Sequence[QueryBackendConfig], external: Labels) -> None:
        """The engines of a new configuration."""
        self._configs, self._external = tuple(configs), external
        names = {_name(config) for config in configs}
        self.counts = {name: counts for name, counts in self.counts.items() if name in names}

    @property
    def is_on(self) -> bool:
        """Whether there are any."""
        return bool(self._configs)

    async def part(self, text: str, grid: Grid, options: QueryOptions, *, ranged: bool) -> BackendPart | None:
        """The part of a query that goes to an engine; None when none is needed. Raises ParseError, QueryError."""
        first = first_local_step(text, grid, options, self._begin_ms(), ranged=ranged)
        if not first:
            return None
        asked = Grid(grid.start_ms, grid.step_ms, first)
        local = grid.part(slice(first, grid.count)) if first < grid.count else None
        failed: list[str] = []
        for config in self._configs:
            try:
                result = await self._ask(config, text, asked, options, ranged=ranged)
            except OperatingError as error:
                failed.append(self._failed(config, error))
                continue
            return BackendPart(result, local, (*failed, _came_from(config, asked, local, ranged=ranged)))
        return BackendPart(None, grid, tuple(failed))

    def _failed(self, config: QueryBackendConfig, error: OperatingError) -> str:
        name, counts = _name(config), self._counts(config)
        counts.failures += 1
        counts.last_error = redacted(str(error))
        self._log.warning("a query backend failed", backend=name, err=counts.last_error)
        return f"query backend {name} failed, what only it has is missing: {counts.last_error}"

    def _counts(self, config: QueryBackendConfig) -> BackendCounts:
        name = _name(config)
        if name not in map(_name, self._configs):
            return BackendCounts()  # a reload has removed it while a query was under way
        return self.counts.setdefault(name, BackendCounts())

    async def _ask(
        self, config: QueryBackendConfig, text: str, grid: Grid, options: QueryOptions, *, ranged: bool
    ) -> QueryResult:
        assert config.url is not None
        self._counts(config).queries += 1
        external = self._external if config.filter_external_labels else ()
        query = self._with_labels(text, options, external)
        asked = {"query": query, "time": f"{grid.start_ms / 1000:.3f}"}
        if ranged:
            asked = {
                "query": query,
                "start": f"{grid.start_ms / 1000:.3f}",
                "end": f"{grid.end_ms / 1000:.3f}",
                "step": f"{grid.step_ms / 1000:.3f}",
            }
        request = FetchRequest(
            f"{config.url.reveal().rstrip('/')}/api/v1/query{'_range' if ranged else ''}",
            (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")),
            timeout_s=min(config.timeout / 1000, options.timeout_s),
            body_bytes_max=ANSWER_BYTES_MAX,
            method="POST",
            body=urlencode(asked).encode(),
        )
        fetch = self._connect(config)
        try:
            answer = await fetch.send(request)
        finally:
            await fetch.aclose()
        try:
            return await self._offload.run(lambda: read_backend(answer.body, grid, external, ranged=ranged))
        except BackendAnswerError as error:
            if answer.status != _OK:
                raise BackendAnswerError(f"{answer.status_line}: {error}") from None
            raise

    @staticmethod
    def _with_labels(text: str, options: QueryOptions, external: Labels) -> str:
        """The query for samples of this server alone: selectors ask for its external labels where they say nothing of them."""
        if not external:
            return text

        def change(selector: VectorSelector) -> VectorSelector:
            named = {matcher.name for matcher in selector.matchers}
            more = equal_to(pair for pair in external if pair[0] not in named)
            return replace(selector, matchers=(*selector.matchers, *more))

        return change_selectors(text, options, change)


def _name(config: QueryBackendConfig) -> str:
    return config.name or (shown_url(config.url.reveal()) if config.url else "")


def _came_from(config: QueryBackendConfig, asked: Grid, local: Grid | None, *, ranged: bool) -> str:
    who = f"query backend {_name(config)} ({config.dialect})"
    if not ranged:
        return f"all of this is the answer of {who}: local samples begin later"
    until = f"the steps until {rfc3339(asked.end_ms)} are those of {who}"
    return until if local is None else f"{until}, those after it are local"
