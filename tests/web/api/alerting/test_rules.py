"""/api/v1/rules: what is shown, filters, pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.web_world import web_world
from trimon.query.language.options import QueryOptions
from trimon.rules.file import read_rules
from trimon.rules.group import RuleGroup
from trimon.rules.spec import RuleDefaults

TEXTS = {
    "/b.yml": "groups:\n  - name: g1\n    rules:\n      - {record: r1, expr: up   ==1, labels: {team: x}}\n"
    "      - {record: r2, expr: up, labels: {team: y}}\n",
    "/a.yml": "groups:\n  - name: g2\n    interval: 1m30s\n    limit: 3\n    rules:\n      - {record: r1, expr: up}\n"
    "  - name: g1\n    rules:\n      - {record: r3, expr: up}\n",
}


def groups() -> list[RuleGroup]:
    return [
        RuleGroup(spec, QueryOptions())
        for file, text in TEXTS.items()
        for spec in read_rules(text, Path(file), RuleDefaults(15_000))
    ]


async def ask(directory: Path, *queries: str) -> list[Any]:
    every = groups()
    async with web_world(directory, changes={"rules": lambda: every}) as here:
        return [await (await here.client.get(f"/api/v1/rules?{query}")).get_json() for query in queries]


def names(answer: Any) -> list[tuple[str, str, list[str]]]:
    return [
        (group["file"], group["name"], [rule["name"] for rule in group["rules"]])
        for group in answer["data"]["groups"]
    ]


async def test_what_is_shown(tmp_path: Path) -> None:
    """Groups come by file and name, with their rules; what was never evaluated is unknown."""
    (answer,) = await ask(tmp_path, "")
    assert names(answer) == [
        ("/a.yml", "g1", ["r3"]),
        ("/a.yml", "g2", ["r1"]),
        ("/b.yml", "g1", ["r1", "r2"]),
    ]
    second, third = answer["data"]["groups"][1:]
    assert (second["interval"], second["limit"], third["interval"]) == (90, 3, 15)
    assert third["rules"][0] == {
        "name": "r1",
        "query": "up == 1",
        "labels": {"team": "x"},
        "health": "unknown",
        "evaluationTime": 0,
        "lastEvaluation": "0001-01-01T00:00:00Z",
        "type": "recording",
    }


async def test_filters(tmp_path: Path) -> None:
    """Rules are picked by kind, name, group, file and label; groups without a rule are left out."""
    answers = await ask(
        tmp_path,
        "type=alert",
        "type=record&rule_name[]=r1",
        "rule_group[]=g1",
        "file[]=/a.yml",
        'match[]={team="y"}',
        "rule_name[]=r1&rule_group[]=g1",
    )
    assert [names(answer) for answer in answers] == [
        [],
        [("/a.yml", "g2", ["r1"]), ("/b.yml", "g1", ["r1"])],
        [("/a.yml", "g1", ["r3"]), ("/b.yml", "g1", ["r1", "r2"])],
        [("/a.yml", "g1", ["r3"]), ("/a.yml", "g2", ["r1"])],
        [("/b.yml", "g1", ["r2"])],
        [("/b.yml", "g1", ["r1"])],
    ]


async def test_pages(tmp_path: Path) -> None:
    """A page names the next one, and the last page does not."""
    (first,) = await ask(tmp_path, "group_limit=2")
    token = first["data"]["groupNextToken"]
    (second,) = await ask(tmp_path, f"group_limit=2&group_next_token={token}")
    assert names(first) + names(second) == names((await ask(tmp_path, ""))[0])
    assert "groupNextToken" not in second["data"]


async def test_bad_parameters(tmp_path: Path) -> None:
    """Wrong parameters are bad_data with Prometheus' words."""
    answers = await ask(
        tmp_path, "type=x", "group_next_token=1", "group_limit=0", "group_limit=1&group_next_token=zz", "match[]={",
        "exclude_alerts=X",
    )  # fmt: skip
    assert {answer["errorType"] for answer in answers} == {"bad_data"}
    assert answers[0]["error"] == 'invalid parameter "type": not supported value "x"'
    assert "group_limit needs to be present in order to paginate over the groups" in answers[1]["error"]
    assert answers[5]["error"] == (
        'invalid parameter "exclude_alerts": error converting exclude_alerts: strconv.ParseBool: parsing "x": invalid syntax'
    )
    assert answers[3]["error"] == (
        "invalid parameter \"group_next_token\": invalid group_next_token 'zz'. were rule groups changed?"
    )


async def test_whole_seconds_have_no_fraction(tmp_path: Path) -> None:
    """Some clients read intervals as integers and take no `90.0`."""
    every = groups()
    every[0].duration_s = 0.25
    async with web_world(tmp_path, changes={"rules": lambda: every}) as here:
        text = await (await here.client.get("/api/v1/rules")).get_data(as_text=True)
    assert '"interval":90,"limit":3,"evaluationTime":0,' in text
    assert '"interval":15,"limit":0,"evaluationTime":0.25,' in text
    assert "0.0" not in text


async def test_what_rules_read(tmp_path: Path) -> None:
    """Each rule comes with its selectors and whether they matched; filters are those of /rules, and dead rules alone."""
    every = groups()
    rule = every[0].rules[0]
    for number in range(11):
        rule.selectors.note({rule.selectors.uses[0].selector.key: False}, number * 60_000 + 1)
    rule.selectors.told = True
    async with web_world(tmp_path, changes={"rules": lambda: every}) as here:
        answer = await (await here.client.get("/api/v1/rules/selectors?rule_group[]=g1&dead=true")).get_json()
        everything = await (await here.client.get("/api/v1/rules/selectors")).get_json()
        unmatched = await (await here.client.get("/api/v1/rules/selectors?unmatched=true")).get_json()
    (group,) = answer["data"]["groups"]
    assert (group["file"], group["name"]) == ("/b.yml", "g1")
    (shown,) = group["rules"]
    assert (shown["name"], shown["type"], shown["dead"]) == ("r1", "recording", True)
    assert shown["selectors"] == [
        {"selector": "up", "optional": False, "matched": False, "lastMatched": None, "evaluations": 11}
    ]
    assert len(names(everything)) == 3
    assert [rule["name"] for group in unmatched["data"]["groups"] for rule in group["rules"]] == ["r1"]


async def test_choosing_by_labels_has_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of selectors over thousands of rules end with their time, and hold nobody else up."""
    monkeypatch.setattr("trimon.web.api.alerting.rules.FILTER_S", 0.01)
    lines = "".join(f"      - {{record: r{number}, expr: up, labels: {{n: x}}}}\n" for number in range(2000))
    (spec,) = read_rules(f"groups:\n  - name: g\n    rules:\n{lines}", Path("r.yml"), RuleDefaults())
    every = [RuleGroup(spec, QueryOptions())]
    asked = "&".join(f'match[]={{n="a{number}"}}' for number in range(300))
    async with web_world(tmp_path, changes={"rules": lambda: every}) as here:
        for path in ("rules", "rules/selectors"):
            answer = await here.client.get(f"/api/v1/{path}?{asked}")
            assert answer.status_code == 503
            assert (await answer.get_json())["errorType"] == "timeout"
