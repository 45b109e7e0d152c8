"""/api/v1/rules/backtest: what may be asked, and what is refused."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.asgi import Client
from tests.support.collector import uncollected
from tests.support.store_world import World
from tests.support.web_world import web_world
from trimon.config.yaml.tree import Document, Node
from trimon.errors import Position
from trimon.gotext.times import json_time
from trimon.memory.queries import QueryMemory
from trimon.model.labels import labels_of
from trimon.model.rows import SampleBatch
from trimon.query.language.options import QueryOptions
from trimon.rules.alerting import AlertOrigin
from trimon.rules.file import RuleEntry, read_rules
from trimon.rules.group import RuleGroup
from trimon.rules.spec import RuleDefaults

START_S = 1_699_990_020
TEXT = """
groups:
- name: g
  rules:
  - {record: "job:up:sum", expr: sum(up)}
  - {alert: Down, expr: "job:up:sum == 0", for: 2m, annotations: {text: "{{ $value }} in {{ $externalLabels.dc }}"}}
- name: other
  rules:
  - {alert: Up, expr: up == 1}
"""
DEFAULTS = RuleDefaults(30_000)


async def push(world: World) -> None:
    """Twenty minutes of `up`, 0 from the tenth on."""
    times = np.arange(80, dtype=np.int64) * 15_000 + START_S * 1000
    values = np.where(np.arange(80) < 40, 1.0, 0.0)
    batch = SampleBatch((labels_of({"__name__": "up", "job": "a"}),), np.zeros(80, np.int32), times, values)
    (answer,) = await world.writer.append(batch)
    assert not answer.error


async def ask(client: Client, method: str = "POST", **values: str) -> Any:
    form = {"start": str(START_S), "end": str(START_S + 1185), **values}
    path = "/api/v1/rules/backtest"
    asked = client.get(path, query_string=form) if method == "GET" else client.post(path, form=form)
    return await (await asked).get_json()


def changes(tmp_path: Path) -> dict[str, Any]:
    groups = [RuleGroup(spec, QueryOptions()) for spec in read_rules(TEXT, Path("/r.yml"), DEFAULTS)]
    origin = AlertOrigin(lambda: (("dc", "north"),))
    return {"rules": lambda: groups, "rule_defaults": lambda: DEFAULTS, "alert_origin": origin}


def rule_names(answer: Any) -> list[str]:
    return [rule["name"] for group in answer["data"]["groups"] for rule in group["rules"]]


async def test_a_text_and_loaded_rules_are_the_same(tmp_path: Path) -> None:
    """A rule file's text, and the same rules as they are loaded, give the same timeline, by POST and GET."""
    async with web_world(tmp_path, changes=changes(tmp_path)) as here:
        await push(here.world)
        by_text = await ask(here.client, rules=TEXT)
        by_file = await ask(here.client, "GET", file="/r.yml")
        one = await ask(here.client, "GET", rule="Down")
        coarse = await ask(here.client, group="other", interval="1m")
    (down,) = by_text["data"]["groups"][0]["rules"][1]["series"]
    assert down == {
        "labels": {"alertname": "Down"},
        "fired": 1,
        "firingSeconds": 450,
        "events": [
            {"state": state, "at": at, "value": "0e+00", "annotations": {"text": "0 in north"}}
            for state, at in (("pending", "2023-11-14T19:37:00Z"), ("firing", "2023-11-14T19:39:00Z"))
        ],
    }
    for group in by_file["data"]["groups"]:
        group["file"] = "rules"
    assert by_file == by_text
    assert rule_names(by_text) == ["job:up:sum", "Down", "Up"]
    assert rule_names(one) == ["Down"]
    assert one["data"]["groups"][0]["rules"][0]["series"] == [down]
    assert (rule_names(coarse), coarse["data"]["groups"][0]["interval"]) == (["Up"], 60)


async def test_two_versions_are_compared(tmp_path: Path) -> None:
    """With another text the answer has both versions and what differs; loaded rules are compared with a text too."""
    async with web_world(tmp_path, changes=changes(tmp_path)) as here:
        await push(here.world)
        moved = await ask(here.client, file="/r.yml", compare=TEXT.replace("2m", "5m"))
        same = await ask(here.client, rules=TEXT, compare=TEXT)
    assert same["data"]["difference"] == {"old": "compare", "new": "rules", "equal": True, "rules": []}
    difference = moved["data"]["difference"]
    assert [rule["name"] for rule in difference["rules"]] == ["Down"]
    assert difference["rules"][0]["series"][0]["moved"][0]["old"]["firing"] == "2023-11-14T19:42:00Z"
    assert (difference["old"], difference["new"]) == ("compare", "/r.yml")
    assert len(moved["data"]["compared"]) == 2


async def test_texts_have_names_and_the_end_is_now(tmp_path: Path) -> None:
    """Names of texts are in answer and errors; without `end` the range goes up to now; where nothing is stored is told."""
    async with web_world(tmp_path, changes=changes(tmp_path)) as here:
        await push(here.world)
        named = await ask(here.client, rules=TEXT, compare=TEXT, rules_file="a/n.yml", compare_file="o.yml")
        bad = await ask(here.client, rules="x: 1", rules_file="a/n.yml")
        long = await ask(here.client, rules=TEXT, rules_file="x" * 4097)
        now = await ask(here.client, rules=TEXT, end="", interval="1h")
        early = await ask(here.client, rules=TEXT, start="600", end="1200")
        backwards = await ask(here.client, rules=TEXT, start="9e10", end="")
    data = named["data"]
    assert [data["groups"][0]["file"], data["compared"][0]["file"]] == ["a/n.yml", "o.yml"]
    assert (data["difference"]["old"], data["difference"]["new"]) == ("o.yml", "a/n.yml")
    assert "warnings" not in named
    assert 'invalid parameter "rules": a/n.yml' in bad["error"]
    assert 'invalid parameter "rules_file"' in long["error"]
    assert now["data"]["end"].startswith(json_time(here.world.clock.now_ms())[:19])
    assert early["warnings"] == ["no sample is stored between 1970-01-01T00:10:00Z and 1970-01-01T00:20:00Z"]
    assert 'invalid parameter "end"' in backwards["error"]


async def test_what_is_refused(tmp_path: Path) -> None:
    """What makes no sense is bad data with the parameter's name, a backtest that takes too long a timeout."""
    async with web_world(tmp_path, changes=changes(tmp_path)) as here:
        await push(here.world)
        cases = {
            "start": {"start": "x", "rules": TEXT},
            "end": {"end": "17", "rules": TEXT},
            "not within the years": {"start": "9e14", "end": "9e14", "rules": TEXT},
            "interval": {"interval": "0", "rules": TEXT},
            "rules": {},
            'invalid parameter "rules"': {"rules": "groups: [{name: g, rules: [{alert: A, expr: 'up =='}]}]"},
            'invalid parameter "compare"': {"rules": TEXT, "compare": "x: 1"},
            "no rule file named /other.yml is loaded": {"file": "/other.yml"},
            "there is no group named none": {"group": "none"},
            "there is no rule named none": {"rules": TEXT, "rule": "none"},
            "exceed the limit of 11000": {"rules": TEXT, "interval": "1ms"},
        }
        for expected, values in cases.items():
            answer = await ask(here.client, **values)
            assert answer["errorType"] == "bad_data", answer
            assert expected in answer["error"]
        late = await ask(here.client, rules=TEXT, timeout="1ns")
    assert late["status"] == "error"


def bad_texts() -> dict[str, str]:
    """Texts that are wrong only when much has been made of them."""
    return {
        "shapes": "{groups: [{name: x, rules: [" + "{recor: a}," * 3000 + "]}]}",
        "meanings": "{groups: [{name: x, rules: [" + "{record: a}," * 3000 + "]}]}",
        "aliases": "groups:\n- {name: g, rules: [&r {record: a, expr: up}" + ",*r" * 3000 + ", {}]}\n",
    }


async def test_a_wrong_text_leaves_nothing_behind(tmp_path: Path) -> None:
    """What was made of it is gone with the answer, without the collector of cycles; the answer is short."""
    async with web_world(tmp_path, changes=changes(tmp_path)) as here:
        for text in bad_texts().values():
            await ask(here.client, rules=text)
        with uncollected():
            for text in bad_texts().values():
                for _ in range(3):
                    answer = await ask(here.client, rules=text)
                    assert answer["errorType"] == "bad_data"
                    assert len(answer["error"]) < 100_000
            kinds = (Node, RuleEntry, Position, Document)
            left = [type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds)]
    assert len(left) < 1000, Counter(left)


async def test_texts_are_read_within_time_and_memory(tmp_path: Path) -> None:
    """The time-out ends the reading, and what a text becomes counts as memory of queries before it is made."""
    memory = QueryMemory(2_000_000)
    async with web_world(tmp_path, changes=changes(tmp_path)) as here:
        for name, text in bad_texts().items():
            answer = await ask(here.client, rules=text, timeout="5ms")
            assert answer["error"] == "query timed out in query preparation", name
        gate = here.context.queries
        gate._memory = memory
        for name, text in bad_texts().items():
            for rules in ({"rules": text}, {"rules": TEXT, "compare": text}):
                answer = await ask(here.client, **rules)
                assert "YAML nodes of its rules" in answer["error"], (name, answer)
        assert (memory.taken_bytes, memory.peak_bytes < 2_000_000) == (0, True)
        assert (await ask(here.client, rules=TEXT))["status"] == "success"
