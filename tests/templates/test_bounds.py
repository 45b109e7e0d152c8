"""No template takes longer than its bound, or gives anything but a text or a clear error."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.template_world import NOW_MS, no_queries
from trimon import limits
from trimon.gotext.values import Struct
from trimon.templates.alerts import PRELUDE, AlertData, AlertTemplate
from trimon.templates.consoles import ConsoleData, ConsoleTemplate
from trimon.templates.errors import TemplateError
from trimon.templates.functions.function import Calling
from trimon.templates.functions.table import FUNCTIONS
from trimon.templates.template import Template
from trimon.templates.types import ALERT_DATA

DATA = AlertData({"job": "api", "é": "\udcff☃"}, 42.5, {"region": "eu"}, "http://p.example/mon")
PAGE = ConsoleData("x.html", {"a": ["1", "<b>"], "u": ["javascript:x"]}, {"region": "eu"}, "http://p.example")
SEEDS = (
    '{{ range $i, $x := query "up" }}{{ if gt $x.Value 1.5 }}{{ $i }}{{ else }}{{ break }}{{ end }}{{ end }}',
    '{{ define "t" }}<{{ .arg0 }}>{{ end }}{{ template "t" (args 1 "b" nil) }}{{ with $labels.job }}{{ . }}{{ end }}',
    '{{ printf "%-8.3f|%q|%x|%+v|%[2]*.[1]*d" $value $labels.job 255 . }}{{ $value | humanize | toUpper | len }}',
    '{{- /* c */ -}} {{ $x := 0x1F }}{{ $x = \'a\' }}{{ index $labels "job" | reReplaceAll "(.)" "$1$1" }}',
    '<a href="/x?{{ $value }}" onclick="f({{ . }})">{{ (toTime $value).Format "2006" }}</a><script>"{{ 1 }}"</script>',
    '{{ block "b" . }}<style>p{color:{{ .Value }}}</style>{{ end }}{{ eq 1 1.0 }}{{ slice "abc" 1 2 }}{{ nil }}',
)
PIECES = re.compile(r"\{\{-?|-?\}\}|\"[^\"\n]*\"|\s+|[\w$.]+|.", re.DOTALL)


def expand(text: str) -> str:
    return AlertTemplate("x", text).expand(DATA, no_queries, NOW_MS)


def render(text: str) -> str:
    return ConsoleTemplate("x.html", text, (("l.lib", '{{ define "l" }}{{ . }}{{ end }}'),)).render(
        PAGE, no_queries, NOW_MS
    )


def refused(run: Callable[[str], str], text: str) -> str | None:
    """The error of a template; None when it gives a text."""
    try:
        assert isinstance(run(text), str)
    except TemplateError as error:
        return str(error)
    return None


@given(st.randoms(use_true_random=False))
@settings(max_examples=600, deadline=None)
def test_mutated_templates_give_a_text_or_a_clear_error(rng: random.Random) -> None:
    """A template with pieces left out, doubled and swapped is expanded, or refused with its place; never anything else."""
    pieces = PIECES.findall(rng.choice(SEEDS))
    pool = [piece for seed in SEEDS for piece in PIECES.findall(seed)]
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(pieces) + 1)
        pieces[at : at + rng.randint(0, 2)] = rng.choices(pool, k=rng.randint(0, 2))
    text = "".join(pieces)
    for run, name in ((expand, "__alert_x"), (render, "__console_/x.html")):
        refusal = refused(run, text)
        assert refusal is None or re.search(rf"template:{name}|template: {name}:\d+", refusal), refusal


@given(st.text(alphabet="{}-\"`'$.|()/*:= \nax1é%<>&;", max_size=60))
@settings(max_examples=400, deadline=None)
def test_noise_gives_a_text_or_a_clear_error(noise: str) -> None:
    """Signs of the language in any order are expanded or refused."""
    for text in (noise, "{{" + noise, "{{ " + noise + " }}"):
        for run in (expand, render):
            assert refused(run, text) != ""


LONG = {
    "loops": "{{ range 10000 }}{{ range 10000 }}{{ range 10000 }}{{ end }}{{ end }}{{ end }}",
    "the longest loop": "{{ range 9223372036854775807 }}{{ end }}",
    "doubled text": '{{ $x := "ab" }}{{ range 100 }}{{ $x = printf "%s%s" $x $x }}{{ end }}',
    "wide numbers": '{{ range 1000 }}{{ printf "%1000000d" 1 }}{{ end }}',
    "many wide numbers": '{{ printf "' + "%999999d" * 5 + '" 1 2 3 4 5 }}',
    "long fractions": '{{ range 1000 }}{{ printf "%.999999f" 1e300 }}{{ end }}',
    "output": "{{ range 100000 }}" + "x" * 1000 + "{{ end }}",
    "a template in itself": '{{ define "t" }}{{ template "t" . }}{{ end }}{{ template "t" . }}',
    "two templates in each other": (
        '{{ define "t" }}{{ if . }}{{ template "u" (print .) }}{{ end }}{{ end }}'
        '{{ define "u" }}{{ range 1 }}{{ template "t" (print .) }}{{ end }}{{ end }}{{ template "u" 1 }}'
    ),
    "parentheses": "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "calls in calls": "{{ " + "(print " * 150 + "1" + ")" * 150 + " }}",
    "blocks": "{{ if 1 }}" * 150 + "{{ end }}" * 150,
    "else if": "{{ if 0 }}" + "{{ else if 0 }}" * 150 + "{{ end }}",
    "values in values": "{{ $x := args 1 }}{{ range 1000 }}{{ $x = args $x }}{{ end }}{{ print $x }}",
    "doubled values": "{{ $x := args 1 }}{{ range 18 }}{{ $x = args $x $x $x $x }}{{ end }}{{ print $x }}",
    "replacements": ('{{ $x := "a" }}{{ range 100 }}{{ $x = reReplaceAll "a" "aaaaaaaaaa" $x }}{{ end }}'),
    "a long constant": "{{ " + "9" * 100_000 + " }}",
    "a long text": "{{ " + "a" * 2 * limits.TEMPLATE_TEXT_BYTES_MAX,
    "queries": '{{ range 1000000 }}{{ query "up" }}{{ end }}',
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_work_is_bounded(text: str) -> None:
    """A template that would run long, deep or large is refused in time."""
    began = time.monotonic()
    with pytest.raises(TemplateError):
        expand(text)
    assert time.monotonic() - began < 10


PAGES = {
    "loops in loops": "{{ range 1 }}" * 60 + "<b>" + "{{ end }}" * 60,
    "tags": "<a>" * 300_000,
    "strings": "<script>" + '"a"' * 300_000,
    "templates in a row": "".join(
        f'{{{{ define "t{n}" }}}}{{{{ template "t{n + 1}" . }}}}{{{{ end }}}}' for n in range(500)
    )
    + '{{ template "t0" . }}',
    "pages within": '{{ define "t" }}{{ tmpl "t" . }}{{ end }}{{ tmpl "t" . }}',
    "values in a script": (
        "{{ $x := args 1 }}{{ range 1000 }}{{ $x = args $x }}{{ end }}<script>{{ $x }}</script>"
    ),
}


@pytest.mark.parametrize("text", PAGES.values(), ids=PAGES)
def test_escaping_is_bounded(text: str) -> None:
    """A page that is hard to escape is refused in time."""
    began = time.monotonic()
    with pytest.raises(TemplateError):
        render(text)
    assert time.monotonic() - began < 10


def test_what_is_deep_but_within_the_bound_is_expanded() -> None:
    """Nesting up to the bound works."""
    depth = limits.TEMPLATE_DEPTH_MAX // 2 - 5
    assert expand("{{ if 1 }}" * depth + "x" + "{{ end }}" * depth) == "x"
    assert expand("{{ " + "(print " * depth + "1" + ")" * depth + " }}") == "1"
    assert render("{{ if 1 }}" * depth + "x" + "{{ end }}" * depth) == "x"


def test_time_is_bounded() -> None:
    """An execution that takes too long by the clock ends with an error."""
    ticks = iter(range(0, 100_000, 10))
    template = Template("x", PRELUDE + "{{ range 100000 }}{{ . }}{{ end }}", FUNCTIONS)
    calling = Calling(no_queries, NOW_MS, "")
    data = DATA.as_value()
    assert isinstance(data, Struct)
    assert data.type is ALERT_DATA
    with pytest.raises(TemplateError, match="template takes more than 30 s"):
        template.execute(data, calling, lambda: float(next(ticks)))


PYTHON = (
    "__class__", "__dict__", "__init__", "__globals__", "payload", "type", "values", "entries", "items", "name",
    "upper", "format", "real", "func", "labels", "value", "external_labels",
)  # fmt: skip


@pytest.mark.parametrize("name", PYTHON)
@pytest.mark.parametrize(
    "value",
    [
        ".", ".Labels.job", "$labels", "$value", ".Value", "(toTime 1.5)", "(toDuration 1.5)", "(args 1).arg0",
        '(printf "%s" "x")', "(index $labels `job`)", "(safeHtml `x`)", "(len `a`)", "(1)", "(true)", "(1i)",
    ],
)  # fmt: skip
def test_no_attribute_of_python_can_be_reached(value: str, name: str) -> None:
    """A name that is one of Python's objects is a field that there is not, or a label that there is not."""
    if value == "$labels":
        assert expand(f"{{{{ $labels.{name} }}}}") == ""
        return
    chain = f"{{{{ {'' if value == '.' else value}.{name} }}}}"
    with pytest.raises(TemplateError, match=f"can't evaluate field {name} in type "):
        expand(chain)
