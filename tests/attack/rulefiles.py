"""Mutated rule files and templates, read and evaluated as the server does: each is taken or refused clearly, none takes long.

    python tests/attack/rulefiles.py [--rounds 10000]

A round is one rule file and one template. Files are mutated in bytes, in lines and in words of YAML, PromQL and templates;
those that are taken are evaluated twice over a few series. What is raised must be an error for the user.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from trimon.errors import UserError
from trimon.model.labels import labels_of
from trimon.query.conformance.memory import MemoryStore
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.rules.file import read_rules
from trimon.rules.group import RuleGroup
from trimon.rules.session import Evaluation
from trimon.rules.spec import RuleDefaults
from trimon.templates.alerts import AlertData, AlertTemplate
from trimon.templates.errors import TemplateError

TIMEOUT_S: Final = 2.0
BOUND_S: Final = 3 * TIMEOUT_S
"""A file has at most three rules that may take their time-out."""
FILE: Final = """groups:
- name: g
  interval: 30s
  query_offset: 1m
  limit: 10
  labels: {team: x}
  rules:
  - record: job:up:sum
    expr: sum by (job) (rate(requests_total{code=~"5.."}[5m])) / on (job) group_left () up
    labels: {a: b}
  - alert: High
    expr: |
      histogram_quantile(0.9, sum by (le) (rate(duration_bucket[5m]))) > 1
        and on () vector(1)
    for: 5m
    keep_firing_for: 1m
    on_no_data: keep
    labels: {severity: '{{ if gt $value 2.0 }}page{{ else }}info{{ end }}'}
    annotations:
      summary: "{{ $labels.instance | reReplaceAll \\"(.*):.*\\" \\"$1\\" }} is {{ humanize $value }}"
      more: >-
        {{ range query "up" }}{{ .Labels.job }}={{ .Value }} {{ end }}{{ with $x := 1 }}{{ $x }}{{ end }}
"""
WORDS: Final = (
    "{{",
    "}}",
    "{{ end }}",
    "{{ range $i, $x := query `up` }}",
    "{{ template `a` . }}",
    "{{ define `a` }}",
    "| printf `%999999d`",
    "{{ $labels }}",
    "{{ . }}",
    "{{ first (query `up`) }}",
    "{{ .Labels.__class__ }}",
    "{{ humanize1024 `x` }}",
    "toTime",
    "nil",
    "&&",
    ">",
    "and",
    "unless",
    "[5m:1s]",
    "@ end()",
    "offset -1d",
    "1e999",
    "NaN",
    "~",
    "&a",
    "*a",
    "<<: *a",
    "!!python/object:os.system x",
    "? ",
    "- ",
    ": ",
    "# ",
    "\t",
    "\0",
    "\N{SNOWMAN}",
    "'",
    '"',
    "|",
    ">-",
    "9" * 400,
    "-1s",
    "300y",
    "null",
    "true",
    "[]",
    "{}",
    "x" * 5000,
    "(" * 200,
    "sum(",
    "label_replace(up, `a`, `$1`, `b`, `((((.*)*)*)*)`)",
    "count_values(`x`, up)",
    "up{a=~`(a+)+$`}",
)


@dataclass
class Outcome:
    """What came of it."""

    taken: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """By the first words of the error."""
    crashes: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""
    slow: int = 0


def mutated(text: str, generator: random.Random) -> str:
    """The text with some mutations."""
    for _ in range(generator.choice((1, 1, 2, 5))):
        at = generator.randrange(len(text) + 1)
        end = min(len(text), at + generator.choice((0, 1, 1, 5, 40)))
        match generator.randrange(5):
            case 0:
                text = text[:at] + generator.choice(WORDS) + text[end:]
            case 1:
                text = text[:at] + text[end:]
            case 2:
                text = (
                    text[:at]
                    + chr(generator.choice((0, 9, 10, 32, 34, 0x85, 0x2028, 0xFEFF, 0x10FFFF)))
                    + text[end:]
                )
            case 3:
                text = text[:at] + text[at:end] * generator.choice((2, 50)) + text[end:]
            case _:
                lines = text.split("\n")
                one, other = generator.randrange(len(lines)), generator.randrange(len(lines))
                lines[one], lines[other] = lines[other], lines[one]
                text = "\n".join(lines)
    return text


def series() -> MemoryStore:
    """A few series of the metrics that the rules name."""
    store = MemoryStore()
    for step in range(40):
        for name, labels in (
            ("up", {"job": "j"}),
            ("requests_total", {"job": "j", "code": "500"}),
            ("duration_bucket", {"le": "1", "instance": "a:1"}),
            ("duration_bucket", {"le": "+Inf", "instance": "a:1"}),
        ):
            store.append(labels_of({"__name__": name, **labels}), step * 15_000, float(step))
    return store


def try_file(text: str, store: MemoryStore) -> None:
    """Reads a file and evaluates its rules twice. Raises UserError or QueryError."""
    options = QueryOptions(timeout_s=TIMEOUT_S)
    for spec in read_rules(text, Path("r.yml"), RuleDefaults(30_000, query=options)):
        for session in RuleGroup(spec, options).rules:
            for time_ms in (300_000, 600_000):
                try:
                    session.recorded(
                        store, Evaluation(time_ms, time_ms, options, Budget(options), spec.limit)
                    )
                except QueryError:
                    continue  # it is a field of the rule's health


def try_template(text: str) -> None:
    """Compiles a template and expands it. Raises TemplateError."""
    data = AlertData({"instance": "a:1", "job": "j"}, 3.5, {"dc": "x"}, "http://h")
    AlertTemplate("High", text).expand(data, lambda _: [], 1_700_000_000_000)


TEMPLATES: Final = (
    "{{ $labels.instance }} {{ printf `%.2f` $value }} {{ range $i, $l := $labels }}{{ $i }}{{ end }}",
    "{{ define `x` }}{{ . }}{{ end }}{{ template `x` $labels.job }} {{ with query `up` }}{{ . | first | value }}{{ end }}",
    "{{ if and (gt $value 1.0) (ne $labels.job `x`) }}{{ humanizeDuration $value }}{{ else if true }}{{ len `abc` }}{{ end }}",
)


def attack(rounds: int, seed: int) -> Outcome:
    """All rounds."""
    generator, store, outcome = random.Random(seed), series(), Outcome()
    for _ in range(rounds):
        text, template = mutated(FILE, generator), mutated(generator.choice(TEMPLATES), generator)
        works = ((text, partial(try_file, text, store)), (template, partial(try_template, template)))
        for tried, run in works:
            began_s = time.thread_time()
            try:
                run()
                outcome.taken += 1
            except (UserError, TemplateError) as error:
                outcome.refused[" ".join(str(error).split()[-5:])] += 1
            except Exception:  # noqa: BLE001 - whatever it is, it is a find
                outcome.crashes.append(f"{traceback.format_exc()}\n{tried!r}")
            took_s = time.thread_time() - began_s
            outcome.slow += took_s > BOUND_S
            if took_s > outcome.slowest_s:
                outcome.slowest_s, outcome.slowest = took_s, tried
    return outcome


def main() -> None:
    """Runs the attack and prints its figures."""
    options = arguments(__doc__ or "", 10_000).parse_args()
    outcome = attack(options.rounds, options.seed)
    figure(
        f"{options.rounds} mutated rule files and as many templates",
        f"{len(outcome.crashes)} crashes, {outcome.slow} slower than {BOUND_S:g} s of CPU",
        f"{outcome.taken} taken, {sum(outcome.refused.values())} refused in {len(outcome.refused)} ways, "
        f"slowest {outcome.slowest_s:.2f} s; seed {options.seed}",
    )
    for crash in outcome.crashes[:5]:
        print(crash, file=sys.stderr)
    if outcome.slowest_s > 1:
        print(outcome.slowest[:3000], file=sys.stderr)


if __name__ == "__main__":
    main()
