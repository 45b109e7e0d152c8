"""What a real Prometheus 3.14 rendered, refused and reported: every template, compared to the letter."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.oracle import recorded
from tests.support.template_world import NOW_MS, StoreQueries, recorded_histograms
from trimon.templates.alerts import AlertData, AlertTemplates
from trimon.templates.errors import TemplateError

_SETUP, *CASES = recorded("templates/cases.jsonl")
_QUERIES = StoreQueries(recorded_histograms(_SETUP))
_POINTER = re.compile(r"0x[0-9a-f]{6,}")
# The rule that a load error is told in: the rule file's own words.
_RULE = re.compile(r'FAILED:\nt\d+\.yml: group "g_\w+", rule 1, "a_\w+": ')


def _templates(case: dict[str, Any]) -> AlertTemplates:
    name = "t" if case["where"] == "annotation" else "l"
    pair = ((name, case["template"]),)
    labels, annotations = (pair, ()) if case["where"] == "label" else ((), pair)
    return AlertTemplates(f"a_{case['id']}", labels, annotations)


def _expanded(case: dict[str, Any]) -> str:
    """What an alert of the case's expression shows."""
    config = _SETUP["configs"][case["config"]]
    (found,) = _QUERIES(case["expr"])
    labels = {name: value for name, value in found.labels.items() if name != "__name__"}
    data = AlertData(labels, found.value, config["external_labels"], config["external_url"])
    expanded = _templates(case).expand(data, _QUERIES, NOW_MS)
    (text,) = (expanded.labels | expanded.annotations).values()
    return text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_template_gives_what_prometheus_gives(case: dict[str, Any]) -> None:
    """Text, error text or refusal of a template are those of Prometheus; addresses of memory are none of them."""
    if "load_error" in case:
        with pytest.raises(TemplateError) as caught:
            _templates(case)
        assert str(caught.value) == _RULE.sub("", case["load_error"])
        return
    got, want = _expanded(case), case["expected"]
    if case.get("volatile"):
        got, want = _POINTER.sub("0x", got), _POINTER.sub("0x", want)
    assert got == want
