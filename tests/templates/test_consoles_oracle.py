"""What a real Prometheus 3.14 answered for console templates, compared to the letter."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.support.oracle import recorded
from tests.support.template_world import NOW_MS, StoreQueries
from trimon.query.conformance.memory import MemoryStore
from trimon.templates.consoles import ConsoleData, ConsoleTemplate, content_type
from trimon.templates.errors import TemplateError

_SETUP, *_ANSWERS = recorded("templates/consoles.jsonl")
# A file that there is not is the server's answer, no template's.
CASES = [case for case in _ANSWERS if case["template"] is not None]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_console_gives_what_prometheus_gives(case: dict[str, Any]) -> None:
    """Page, type and error text are those of Prometheus."""
    if case["status"] == 500:
        with pytest.raises(TemplateError) as caught:
            _page(case)
        assert f"{caught.value}\n" == case["body"]
        return
    page = _page(case)
    assert (case["status"], case["body"]) == (200, page)
    assert content_type(page) == case["content_type"]


def _page(case: dict[str, Any]) -> str:
    config = _SETUP["config"]
    template = ConsoleTemplate(case["file"], case["template"], sorted(_SETUP["libs"].items()))
    parameters = parse_qs(case["query"], keep_blank_values=True)
    data = ConsoleData(case["file"], parameters, config["external_labels"], config["external_url"])
    return template.render(data, StoreQueries(MemoryStore()), NOW_MS)
