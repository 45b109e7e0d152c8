"""/api/v1/alerts/history: what is shown, filters, bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.web_world import web_world
from trimon.files import DiskFiles
from trimon.rules.changes import AlertEvent, Change
from trimon.rules.history import AlertChange, HistoryFiles, RuleName


def change(at_ms: int, kind: Change, **labels: str) -> AlertChange:
    event = AlertEvent(kind, at_ms, 1.0, (("summary", "down"),))
    return AlertChange(
        RuleName("r.yml", "g", "Down", "1"), tuple(sorted(labels.items())), event, 500, "1e+00"
    )


async def test_changes_are_shown_and_filtered(tmp_path: Path) -> None:
    """The last one is first; time, labels and state choose; a limit says whether there are more."""
    files = HistoryFiles(DiskFiles(), tmp_path, 1 << 20)
    files.append(
        [
            change(1000, Change.PENDING, alertname="Down", i="a"),
            change(2000, Change.FIRING, alertname="Down", i="a"),
            change(3000, Change.FIRING, alertname="Down", i="b"),
            change(4000, Change.RESOLVED, alertname="Down", i="a"),
        ]
    )
    async with web_world(tmp_path) as here:

        async def ask(query: str) -> tuple[list[str], bool]:
            answer = await (await here.client.get(f"/api/v1/alerts/history?{query}")).get_json()
            assert answer["status"] == "success"
            return [each["at"][17:23] for each in answer["data"]["changes"]], answer["data"]["more"]

        assert await ask("") == (["04Z", "03Z", "02Z", "01Z"], False)
        assert await ask("start=2&end=3") == (["03Z", "02Z"], False)
        assert await ask('match[]={i="a"}&state=firing&state=resolved') == (["04Z", "02Z"], False)
        assert await ask("limit=1") == (["04Z"], True)
        everything = await (await here.client.get("/api/v1/alerts/history")).get_json()
        assert everything["data"]["since"] == "1970-01-01T00:00:01Z"
        assert await ask("limit=0") == await ask("limit=20000") == await ask("")
        answer = await (await here.client.get("/api/v1/alerts/history?limit=1")).get_json()
        assert answer["data"]["changes"] == [
            {
                "at": "1970-01-01T00:00:04Z",
                "state": "resolved",
                "file": "r.yml",
                "group": "g",
                "alert": "Down",
                "labels": {"alertname": "Down", "i": "a"},
                "annotations": {"summary": "down"},
                "value": "1e+00",
                "activeAt": "1970-01-01T00:00:00.5Z",
            }
        ]


async def test_parameters_without_sense_are_refused(tmp_path: Path) -> None:
    """An unknown state, a bad time and a bad selector are 400."""
    async with web_world(tmp_path) as here:
        for query in ("state=broken", "start=x", "match[]={", "limit=-1"):
            answer = await here.client.get(f"/api/v1/alerts/history?{query}")
            assert answer.status_code == 400, query


async def test_looking_for_changes_has_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many selectors over many changes end with their time."""
    files = HistoryFiles(DiskFiles(), tmp_path, 1 << 20)
    files.append([change(number, Change.FIRING, i=str(number)) for number in range(1, 1500)])
    monkeypatch.setattr("trimon.web.api.alerting.alerthistory.FIND_S", 0.01)
    asked = "&".join(f'match[]={{i="a{number}"}}' for number in range(300))
    async with web_world(tmp_path) as here:
        answer = await here.client.get(f"/api/v1/alerts/history?{asked}")
        assert answer.status_code == 503
