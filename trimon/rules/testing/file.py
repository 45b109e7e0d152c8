"""Files of unit tests, in Prometheus' format; every error in its words."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from trimon import limits
from trimon.config.filetext import read_text
from trimon.config.globs import expand_glob
from trimon.config.kinds import DURATION, Boolean, Listed, Mapped, Number, Of, Text
from trimon.config.model import Model, Source, setting
from trimon.config.yaml.tree import Document, Node
from trimon.errors import UserError
from trimon.gotext.times import parse_rfc3339_ms
from trimon.records import dataclass
from trimon.rules.spec import Pairs

_LABELS: Final = Mapped(Text(), "map[string]string")
_MINUTE_MS: Final = 60_000


class _Moment:
    """A time: seconds since 1970, or RFC 3339."""

    def read(self, node: Node, source: Source) -> int:
        """Milliseconds."""
        text = source.document.text(node, "string")
        moment_ms = parse_rfc3339_ms(text)
        return round(source.document.number(node) * 1000) if moment_ms is None else moment_ms

    def zero(self) -> int:
        """The beginning of 1970."""
        return 0

    def show(self, value: int) -> object:
        """Seconds."""
        return value / 1000


class _AnyNumber(Number):
    """A float, NaN and infinities too."""

    def read(self, node: Node, source: Source) -> float:
        """The number."""
        return source.document.number(node)


@dataclass(frozen=True, kw_only=True)
class InputSeries(Model):
    """A series with its samples, one an interval."""

    yaml_type: ClassVar[str] = "main.series"

    series: str = setting(Text(), "")
    values: str = setting(Text(), "")


@dataclass(frozen=True, kw_only=True)
class ExpectedAlert(Model):
    """An alert that fires; its name is that of the test."""

    yaml_type: ClassVar[str] = "main.alert"

    exp_labels: Pairs = setting(_LABELS, ())
    exp_annotations: Pairs = setting(_LABELS, ())


@dataclass(frozen=True, kw_only=True)
class AlertTest(Model):
    """Which alerts of a name fire at a time."""

    yaml_type: ClassVar[str] = "main.alertTestCase"

    eval_time: int = setting(DURATION, 0)
    alertname: str = setting(Text(), "")
    exp_alerts: tuple[ExpectedAlert, ...] = setting(Listed(Of(ExpectedAlert), "[]main.alert"), ())


@dataclass(frozen=True, kw_only=True)
class ExpectedSample(Model):
    """One sample of a result."""

    yaml_type: ClassVar[str] = "main.sample"

    labels: str = setting(Text(), "")
    value: float = setting(_AnyNumber(), 0.0)
    histogram: str = setting(Text(), "")


@dataclass(frozen=True, kw_only=True)
class ExpressionTest(Model):
    """What an expression gives at a time, when all rules have been evaluated."""

    yaml_type: ClassVar[str] = "main.promqlTestCase"

    expr: str = setting(Text(), "")
    eval_time: int = setting(DURATION, 0)
    exp_samples: tuple[ExpectedSample, ...] = setting(Listed(Of(ExpectedSample), "[]main.sample"), ())


@dataclass(frozen=True, kw_only=True)
class UnitTest(Model):
    """One entry of `tests`: a world of its own."""

    yaml_type: ClassVar[str] = "main.testGroup"

    interval: int = setting(DURATION, 0)
    input_series: tuple[InputSeries, ...] = setting(Listed(Of(InputSeries), "[]main.series"), ())
    alert_rule_test: tuple[AlertTest, ...] = setting(Listed(Of(AlertTest), "[]main.alertTestCase"), ())
    promql_expr_test: tuple[ExpressionTest, ...] = setting(
        Listed(Of(ExpressionTest), "[]main.promqlTestCase"), ()
    )
    external_labels: Pairs = setting(_LABELS, ())
    external_url: str = setting(Text(), "")
    name: str = setting(Text(), "")
    start_timestamp: int = setting(_Moment(), 0)

    @property
    def end_ms(self) -> int:
        """The last evaluation, in milliseconds from the start."""
        times = [test.eval_time for test in self.alert_rule_test]
        return max([*times, *(test.eval_time for test in self.promql_expr_test)], default=0)


@dataclass(frozen=True, kw_only=True)
class UnitTestFile(Model):
    """A file of unit tests."""

    yaml_type: ClassVar[str] = "main.unitTestFile"

    rule_files: tuple[str, ...] = setting(Listed(Text()), ())
    evaluation_interval: int = setting(DURATION, _MINUTE_MS)
    group_eval_order: tuple[str, ...] = setting(Listed(Text()), ())
    tests: tuple[UnitTest, ...] = setting(Listed(Of(UnitTest), "[]main.testGroup"), ())
    fuzzy_compare: bool = setting(Boolean(), default=False)

    def check(self) -> None:
        """Each group of the order is there once."""
        for place, name in enumerate(self.group_eval_order):
            if name in self.group_eval_order[:place]:
                raise UserError(f"group name repeated in evaluation order: {name}")

    @property
    def interval_ms(self) -> int:
        """How often rules are evaluated."""
        return self.evaluation_interval or _MINUTE_MS


def load_unit_tests(path: Path) -> UnitTestFile:
    """The tests of a file. Blocks on the disk. Raises UserError."""
    document = Document(read_text(path, limits.CONFIG_FILE_BYTES_MAX), str(path))
    if document.root is None:
        return UnitTestFile()
    return UnitTestFile.read(document.root, Source(document, path.parent))


def rule_files_of(file: UnitTestFile, directory: Path) -> tuple[list[Path], list[str]]:
    """The rule files of all patterns, and the patterns that match none. Blocks on the disk. Raises UserError."""
    found: list[Path] = []
    unmatched: list[str] = []
    for pattern in file.rule_files:
        whole = str(directory / pattern)
        matches = expand_glob(whole)
        if not matches:
            unmatched.append(whole)
        found += matches
    return found, unmatched
