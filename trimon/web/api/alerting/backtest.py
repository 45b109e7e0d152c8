"""Backtests: what rules would have done over stored samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trimon import limits
from trimon.errors import UserError
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import PREPARATION, Budget
from trimon.rules.backtest.report import BacktestRequest
from trimon.rules.backtest.run import Span
from trimon.rules.file import read_rules
from trimon.rules.spec import GroupSpec, RuleDefaults
from trimon.web.api.described import TIMEOUT
from trimon.web.api.querying.queries import check_time, request_options
from trimon.web.context import WebContext
from trimon.web.http import parameters
from trimon.web.http.answer import Answer, bad_parameter, success
from trimon.web.http.asking import asker_of
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Kind, Parameter
from trimon.web.http.multidict import MultiDict
from trimon.web.http.request import Request

# As long as a path may be.
_NAME_CHARACTERS_MAX: Final = 4096


_PARAMETERS: Final = (
    Parameter("rules", "The text of a rule file."),
    Parameter("rules_file", "What that text is called."),
    Parameter("compare", "The text of the old version."),
    Parameter("compare_file", "What that text is called."),
    Parameter("file", "Files of loaded rules.", repeated=True),
    Parameter("group", "Groups.", repeated=True),
    Parameter("rule", "Rules.", repeated=True),
    Parameter("start", "The begin of the past to look at.", Kind.TIMESTAMP, required=True),
    Parameter("end", "Its end; now by default.", Kind.TIMESTAMP),
    Parameter("interval", "From one evaluation to the next; the groups' own by default.", Kind.DURATION),
    TIMEOUT,
)


def backtest_endpoints(context: WebContext) -> list[Endpoint]:
    """/rules/backtest."""

    async def backtest(request: Request) -> Answer:
        values = await request.values(strict=True)
        span = _span(values, context.clock.now_ms())
        loaded = [group.spec for group in context.rules()]
        defaults, options = context.rule_defaults(), request_options(context, values)
        check_time(options)

        def work(snapshot: Snapshot, budget: Budget) -> Answer:
            wanted = _request(values, loaded, defaults, span, budget)
            data = wanted.answer(snapshot, options, context.alert_origin, budget)
            return success(data, wanted.warnings(snapshot))

        title = f"{request.path} {_title(values)} from {span.start_ms} to {span.end_ms} ms"
        answer = await request.attended(
            lambda: context.queries.run(title, options, work, asker=asker_of(request))
        )
        context.bodies.hold_while_alive(answer, len(answer.body))
        return answer

    return [
        Endpoint(
            API_PREFIX + "/rules/backtest",
            ("GET", "POST"),
            backtest,
            watches_client=True,
            own=True,
            summary="Evaluates rules over the past: what they would have done.",
            parameters=_PARAMETERS,
        ),
    ]


def _span(values: MultiDict[str, str], now_ms: int) -> Span:
    start_ms = parameters.required_time_ms(values, "start")
    end_ms = parameters.required_time_ms(values, "end") if values.get("end", "") else now_ms
    if end_ms < start_ms:
        raise bad_parameter("end", "end timestamp must not be before start time")
    interval_ms = 0
    if text := values.get("interval", ""):
        try:
            interval_ms = parameters.parse_span_ms(text)
        except UserError as error:
            raise bad_parameter("interval", error) from None
        if interval_ms <= 0:
            raise bad_parameter("interval", f"{text} is not at least a millisecond")
    return Span(start_ms, end_ms, interval_ms, frozenset(values.getlist("rule")))


def _title(values: MultiDict[str, str]) -> str:
    """What is asked for, in short: texts by their length."""
    texts = [f"{name} of {len(values[name])} characters" for name in ("rules", "compare") if name in values]
    named = [name[:100] for kind in ("file", "group", "rule") for name in values.getlist(kind)[:10]]
    return ", ".join(texts + named)


def _request(
    values: MultiDict[str, str],
    loaded: Sequence[GroupSpec],
    defaults: RuleDefaults,
    span: Span,
    budget: Budget,
) -> BacktestRequest:
    """What a request asks for. Raises ApiError, QueryError. In a thread: rule files may be long."""
    reader = _TextReader(values, defaults, budget)
    groups = reader.read("rules") if "rules" in values else _loaded(values, loaded)
    compared = reader.read("compare") if "compare" in values else None
    wanted = set(values.getlist("group"))
    if wanted:
        groups = tuple(group for group in groups if group.name in wanted)
        compared = compared and tuple(group for group in compared if group.name in wanted)
        if not groups and not compared:
            raise bad_parameter("group", f"there is no group named {', '.join(sorted(wanted))}")
    files = ", ".join(dict.fromkeys(group.file for group in groups))
    name = _name_of(values, "rules") if "rules" in values else files
    return BacktestRequest(groups, compared, span, name, _name_of(values, "compare"))


def _name_of(values: MultiDict[str, str], name: str) -> str:
    """What the text of a parameter is called in the answer and in errors."""
    parameter = f"{name}_file"
    text = values.get(parameter, "") or name
    if len(text) > _NAME_CHARACTERS_MAX or "\0" in text:
        raise bad_parameter(parameter, f"not a name of at most {_NAME_CHARACTERS_MAX} characters")
    return text


class _TextReader:
    """Reads the texts of a request within its budget: memory and time are those of a query."""

    def __init__(self, values: MultiDict[str, str], defaults: RuleDefaults, budget: Budget) -> None:
        self._values = values
        self._defaults = defaults
        self._budget = budget
        self._nodes = 0
        self._nodes_before = 0

    def read(self, name: str) -> tuple[GroupSpec, ...]:
        """The groups of a text. Raises ApiError, QueryError."""
        self._nodes_before += self._nodes
        self._nodes = 0
        path = Path(_name_of(self._values, name))
        try:
            return read_rules(self._values[name], path, self._defaults, self._watch)
        except UserError as error:
            raise bad_parameter(name, error) from None

    def _watch(self, nodes: int) -> None:
        self._budget.check(PREPARATION)
        if nodes != self._nodes:
            self._nodes = nodes
            size_bytes = (self._nodes_before + nodes) * limits.YAML_NODE_BYTES
            self._budget.take_bytes(size_bytes, f"the {self._nodes_before + nodes} YAML nodes of its rules")


def _loaded(values: MultiDict[str, str], loaded: Sequence[GroupSpec]) -> tuple[GroupSpec, ...]:
    """The loaded groups of the files that are named, or that have the rules that are."""
    files, rules = set(values.getlist("file")), set(values.getlist("rule"))
    if not files and not rules and "group" not in values:
        raise bad_parameter("rules", "give the text of a rule file, or a file, group or rule that is loaded")
    if unknown := files - {group.file for group in loaded}:
        raise bad_parameter("file", f"no rule file named {', '.join(sorted(unknown))} is loaded")
    groups = [group for group in loaded if not files or group.file in files]
    if rules and not files:
        found = {group.file for group in groups if any(rule.name in rules for rule in group.rules)}
        groups = [group for group in groups if group.file in found]
    return tuple(groups)
