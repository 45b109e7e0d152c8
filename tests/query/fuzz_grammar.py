"""Random queries: by PromQL's grammar, mostly well typed, now and then broken on purpose.

Run it on its own for a long run: `python -m tests.query.fuzz_grammar 100000 1`.
"""

from __future__ import annotations

import random
import re
import sys
import time

from tests.support.promql_data import odd_store
from trimon.errors import UserError
from trimon.query.answer.json import render_data
from trimon.query.engine import format_query, instant, parse, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.nodes import ValueType
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, DELAYED_NAME_REMOVAL, QueryOptions
from trimon.query.language.printer import print_expr
from trimon.query.language.signatures import FUNCTIONS

METRICS = (
    "up",
    "requests_total",
    "gauge",
    "h_bucket",
    "nope",
    "odd",
    "target_info",
    "native",
    "native",
    '{__name__=~"g.*|up"}',
)
LABELS = ("job", "instance", "le", "mode", "missing", "__name__", "__type__")
VALUES = ("a", "b", "", ".+", "a|b", "(", "0.5", "+Inf", "\\\\d", "x.*")
DURATIONS = (
    "1s",
    "30s",
    "1m",
    "5m",
    "1h",
    "90",
    "7m13s",
    "1d",
    "1ms",
    "0",
    "step()",
    "-1m",
    "(2*30)",
    "range()+1",
)
NUMBERS = ("0", "1", "-1", "0.5", "2", "NaN", "Inf", "-Inf", "1e300", "1e-300", "0x1F", "3m", "1e19", "9")
STRINGS = (
    '""',
    '"x"',
    '"$1"',
    '"job"',
    '"(.*)"',
    '"a(b"',
    '"${1}y$name"',
    "'\\xff'",
    '"le"',
    "`raw`",
    '"__name__"',
)
COMPARE = ("==", "!=", "<", "<=", ">", ">=")
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
TIMES = (0, 600_000, 1_234_567, 2**63 - 1, -(2**63))
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")


class Generator:
    """Writes queries from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def query(self) -> str:
        """One query; one in ten is damaged."""
        kind = self.random.choice(
            (ValueType.VECTOR,) * 6 + (ValueType.SCALAR, ValueType.MATRIX, ValueType.STRING)
        )
        text = self.of(kind, self.random.randint(0, 5))
        return self.damage(text) if self.random.random() < 0.1 else text

    def damage(self, text: str) -> str:
        """The text with a few characters lost, doubled or strange."""
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(text))
            what = self.random.choice(
                ("", "(", ")", "[", "{", '"', " by ", "\x00", "é", "@", "::", "5m", "offset")
            )
            text = text[:at] + what + text[at + self.random.randint(0, 3) :]
        return text

    def of(self, kind: ValueType, depth: int) -> str:
        """An expression of a type."""
        if self.random.random() < 0.01:
            kind = self.random.choice(tuple(ValueType))
        if kind is ValueType.STRING:
            return self.random.choice(STRINGS)
        if kind is ValueType.SCALAR:
            return self.scalar(depth)
        return self.matrix(depth) if kind is ValueType.MATRIX else self.vector(depth)

    def scalar(self, depth: int) -> str:
        """A scalar."""
        pick = self.random.random()
        if depth <= 0 or pick < 0.5:
            return self.random.choice(NUMBERS)
        if pick < 0.7:
            op = self.random.choice(ARITHMETIC)
            return f"({self.scalar(depth - 1)} {op} {self.scalar(depth - 1)})"
        if pick < 0.85:
            return self.call(ValueType.SCALAR, depth)
        return f"({self.scalar(depth - 1)} {self.random.choice(COMPARE)} bool {self.scalar(depth - 1)})"

    def modifiers(self) -> str:
        """Offset and @, or nothing."""
        out = ""
        if self.random.random() < 0.2:
            out += f" offset {self.random.choice(DURATIONS)}"
        if self.random.random() < 0.15:
            out += self.random.choice(
                (" @ 100", " @ start()", " @ end()", " @ -5.5", " @ 1e18", " @ 9.1e15", " @ -9.1e15")
            )
        return out

    def selector(self) -> str:
        """A vector selector without modifiers."""
        name = self.random.choice(METRICS)
        if name.startswith("{") or self.random.random() < 0.5:
            return name
        matchers = [
            f'{self.random.choice(LABELS)}{self.random.choice(("=", "!=", "=~", "!~"))}"{self.random.choice(VALUES)}"'
            for _ in range(self.random.randint(0, 2))
        ]
        return name + "{" + ",".join(matchers) + "}"

    def matrix(self, depth: int) -> str:
        """A range vector."""
        if depth > 0 and self.random.random() < 0.3:
            step = self.random.choice(("", *DURATIONS))
            return f"({self.vector(depth - 1)})[{self.random.choice(DURATIONS)}:{step}]{self.modifiers()}"
        extended = self.random.choice(("",) * 8 + (" anchored", " smoothed"))
        return f"{self.selector()}[{self.random.choice(DURATIONS)}]{extended}{self.modifiers()}"

    def vector(self, depth: int) -> str:
        """An instant vector."""
        pick = self.random.random()
        if depth <= 0 or pick < 0.15:
            return self.selector() + self.modifiers()
        if pick < 0.45:
            return self.call(ValueType.VECTOR, depth)
        if pick < 0.65:
            return self.aggregation(depth)
        if pick < 0.9:
            return self.binary(depth)
        return f"{self.random.choice(('-', '+', ''))}({self.vector(depth - 1)})"

    def call(self, kind: ValueType, depth: int) -> str:
        """A function call."""
        signature = self.random.choice([s for s in FUNCTIONS.values() if s.returns is kind])
        most = len(signature.args) + 2 if signature.args_max is None else signature.args_max
        count = self.random.randint(signature.args_min, min(most, signature.args_min + 3))
        kinds = [signature.args[min(index, len(signature.args) - 1)] for index in range(count)]
        args = [self.of(wanted, depth - 1) for wanted in kinds]
        if signature.name == "info" and count > 1 and self.random.random() < 0.9:
            args[1] = self.random.choice(
                ('{version=~".+"}', '{__name__=~".+_info"}', "{}", '{__name__!="x"}')
            )
        return f"{signature.name}({', '.join(args)})"

    def labels(self) -> str:
        """A label list."""
        return ", ".join(self.random.sample(LABELS, self.random.randint(0, 3)))

    def aggregation(self, depth: int) -> str:
        """An aggregation."""
        clause = self.random.choice(("", f" by ({self.labels()}) ", f" without ({self.labels()}) "))
        inner = self.vector(depth - 1)
        op = self.random.choice(
            (*AGGREGATIONS, "topk", "bottomk", "quantile", "limitk", "limit_ratio", "count_values")
        )
        if op == "count_values":
            inner = f"{self.random.choice(STRINGS)}, {inner}"
        elif op not in AGGREGATIONS:
            inner = f"{self.scalar(depth - 1)}, {inner}"
        return f"{op}({inner}){clause}" if self.random.random() < 0.5 else f"{op}{clause}({inner})"

    def binary(self, depth: int) -> str:
        """A binary expression with a vector on at least one side."""
        op = self.random.choice((*ARITHMETIC, *COMPARE, "and", "or", "unless", "</", ">/"))
        left, right = self.vector(depth - 1), self.vector(depth - 1)
        clause = ""
        if op not in ("and", "or", "unless") and self.random.random() < 0.3:
            if self.random.random() < 0.5:
                left = self.scalar(depth - 1)
            else:
                right = self.scalar(depth - 1)
            return f"({left} {op} {right})"
        if op in COMPARE and self.random.random() < 0.3:
            clause += " bool"
        if self.random.random() < 0.6:
            clause += f" {self.random.choice(('on', 'ignoring'))} ({self.labels()})"
            if op not in ("and", "or", "unless") and self.random.random() < 0.4:
                clause += f" group_{self.random.choice(('left', 'right'))} ({self.labels()})"
        if op not in ("and", "or", "unless") and self.random.random() < 0.1:
            clause += (
                f" {self.random.choice(('fill', 'fill_left', 'fill_right'))}({self.random.choice(NUMBERS)})"
            )
        return f"({left} {op}{clause} {right})"


def _plain(text: str) -> str:
    """Infinity is printed with a sign, which before a power is read back as an operator."""
    return re.sub(r"\++Inf", "Inf", text)


def run(count: int, seed: int) -> dict[str, int]:
    """Evaluate `count` queries; anything but a result, a UserError or a QueryError is raised with its query."""
    store = odd_store()
    outcomes = {"result": 0, "UserError": 0, "QueryError": 0}
    for index in range(count):
        generator = Generator(seed * 1_000_003 + index)
        query = generator.query()
        features = ALL_LANGUAGE_FEATURES
        if generator.random.random() < 0.3:
            features = features - {DELAYED_NAME_REMOVAL}
        options = QueryOptions(features=features, samples_max=2_000_000, bytes_max=1 << 27, timeout_s=10)
        try:
            if generator.random.random() < 0.5:
                result = instant(store, query, generator.random.choice(TIMES), options, Budget(options))
            else:
                step = generator.random.choice((1000, 15_000, 60_000, 77_777))
                start = generator.random.choice((0, 300_000, -100_000))
                result = range_(store, query, start, start + step * 13, step, options, Budget(options))
            render_data(result)
            again = parse(format_query(query, options), options)
            assert _plain(print_expr(again)) == _plain(print_expr(parse(query, options)))
            outcomes["result"] += 1
        except UserError:
            outcomes["UserError"] += 1
        except QueryError:
            outcomes["QueryError"] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}, query {index}: {query!r}") from error
    return outcomes


if __name__ == "__main__":
    began = time.monotonic()
    print(run(int(sys.argv[1]), int(sys.argv[2])), f"{time.monotonic() - began:.0f} s")
