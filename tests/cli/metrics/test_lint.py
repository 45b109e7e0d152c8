"""Metrics looked over: what the linter of a real promtool says of the same text."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.process import peer
from trimon.cli.metrics.families import read_families
from trimon.cli.metrics.lint import cardinality_table, problems
from trimon.errors import UserError

WORDS = [
    word
    for line in (
        "http fooBar total sum count bucket seconds milliseconds ms kb bytes kilobytes minutes days celsius gauge",
        "histogram summary counter metres inches bits x_s a:b info ratio kelvins joules calories micrograms volts",
    )
    for word in line.split()
]
TYPES = ("", "counter", "gauge", "histogram", "summary", "untyped")
# Of several units in a name promtool takes any.
UNITS = frozenset(
    word
    for word in WORDS
    if word
    in ("inches", "bits", "kelvins", "calories", "micrograms", "milliseconds", "kilobytes", "minutes", "days")
    or word in ("seconds", "bytes", "celsius", "metres", "joules", "volts")
)
names = (
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)
    .filter(lambda words: len(UNITS.intersection(words)) < 2)
    .map("_".join)
)
labels = st.sets(st.sampled_from(["le", "quantile", "camelCase", "plain"]), max_size=2)


def told(text: str) -> list[str]:
    return [f"{name} {problem}" for name, problem in problems(read_families(text.encode()).values())]


def of_promtool(text: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [peer("promtool"), "check", "metrics", *options]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(names, st.tuples(st.sampled_from(TYPES), st.booleans(), labels), max_size=12))
def test_problems_are_those_that_promtool_tells(
    metrics: dict[str, tuple[str, bool, set[str]]],
) -> None:
    """The same problems in the same order, for names of many words, all types and labels that stand out."""
    lines = []
    for name, (kind, helped, named) in metrics.items():
        lines += [f"# HELP {name} about it"] * helped + [f"# TYPE {name} {kind}"] * bool(kind)
        pairs = ",".join(f'{label}="1"' for label in sorted(named))
        lines.append(f"{name}{{{pairs}}} 1")
    text = "".join(f"{line}\n" for line in lines)
    said = of_promtool(text).stderr.splitlines()
    if any("parsing error" in line for line in said):
        return  # parts of families that are none
    assert told(text) == said


def test_series_that_are_there_twice_are_told() -> None:
    """A newer linter than that of the peer here tells of them; the order of labels does not count."""
    assert told('# HELP a x\na{b="1",c="2"} 1\na{c="2",b="1"} 2\n') == ["a metric not unique"]


def test_cardinalities_are_counted_as_promtool_counts_them() -> None:
    """Buckets, sums and counts belong to their family; the most series come first."""
    text = (
        '# TYPE h histogram\n# HELP h x\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'
        '# HELP s x\n# TYPE s summary\ns{quantile="0.1"} 3\ns_sum 1\ns_count 2\n# HELP long_name x\nlong_name 1\n'
    )
    assert (
        cardinality_table(read_families(text.encode()).values()) + "\n"
        == of_promtool(text, "--extended").stdout
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# HELP a x\n# HELP a y\n", 'line 2: second HELP line for metric name "a"'),
        (
            "a 1\n# TYPE a gauge\n",
            'line 2: second TYPE line for metric name "a", or TYPE reported after samples',
        ),
        ("a 1", "line 1: unexpected end of input stream"),
        ("a 1\nb x\n", "line 2: "),
    ],
)
def test_a_text_that_is_none_is_refused_with_its_line(text: str, words: str) -> None:
    """The line is that of promtool, and so are the words where the text says something twice or ends too early."""
    with pytest.raises(UserError) as caught:
        read_families(text.encode())
    assert caught.value.message.startswith(f"text format parsing error in {words}")
    assert caught.value.message.split(":")[0] in of_promtool(text).stderr
