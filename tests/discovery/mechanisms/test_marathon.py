"""Marathon: the contract of discoveries, the token, which port a task has, and answers that are odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.oddanswers import survives
from trimon.config.discovery.containers import MarathonSdConfig
from trimon.config.secret import Secret, SecretUrl
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.containers.marathon import MarathonDiscovery
from trimon.discovery.plugin import Context
from trimon.fetch.request import FetchError

URL = "http://m/v2/apps/?embed=apps.tasks"


def app(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": name, "labels": {"a.b": "c"}, "container": {"docker": {"image": "i"}}, "networks": [],
        "tasks": [{"id": f"{name}.1", "host": "h", "ports": [31000], "ipAddresses": [{"ipAddress": "10.0.0.1"}]}],
        **fields,
    }  # fmt: skip


def apps(*found: dict[str, Any]) -> str:
    return json.dumps({"apps": found})


def make(context: Context, **options: Any) -> MarathonDiscovery:
    return MarathonDiscovery(
        {"config": MarathonSdConfig(servers=(SecretUrl("http://m"),), **options)}, context
    )


class TestMarathon(DiscoveryContract):
    """Marathon keeps the contract."""

    def make(self, context: Context) -> MarathonDiscovery:
        return make(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = apps(app("/a"), app("/b", tasks=[{"id": "x", "host": "i", "ports": [1]}]))

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = apps(app("/a"))

    def break_source(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = '{"apps": {}}'


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({}, "h:31000"),
        ({"portDefinitions": [{"port": 5, "labels": {}}]}, "h:31000"),
        ({"portDefinitions": [{"port": 5}], "requirePorts": True}, "h:5"),
        ({"container": {"portMappings": [{"containerPort": 6, "hostPort": 7}]}}, "h:7"),
        ({"container": {"docker": {"portMappings": [{"containerPort": 6, "hostPort": 0}]}}}, "h:31000"),
        (
            {
                "container": {"portMappings": [{"containerPort": 6, "hostPort": 7}]},
                "networks": [{"mode": "container"}],
            },
            "10.0.0.1:6",
        ),
    ],
)
async def test_where_a_task_listens(fields: dict[str, Any], address: str) -> None:
    """Ports come from mappings, from definitions that are required, or from the task itself."""
    fetch = PreparedFetch({URL: apps(app("/a", **fields))})
    (group,) = await make(context_of_doubles(fetch=fetch)).refresh()
    assert [target["__address__"] for target in group.targets] == [address]


async def test_the_token_is_read_for_each_request(tmp_path: Path) -> None:
    """A token in a file may change; one that cannot be read is trouble."""
    file = tmp_path / "token"
    fetch = PreparedFetch({URL: apps()})
    discovery = make(context_of_doubles(fetch=fetch), auth_token_file=str(file))
    for token in ("one", "two"):
        file.write_text(f"{token}\n")
        await discovery.refresh()
        assert fetch.requests[-1].headers == (("Authorization", f"token={token}"),)
    file.unlink()
    with pytest.raises(FetchError, match="unable to read"):
        await discovery.refresh()
    await make(context_of_doubles(fetch=fetch), auth_token=Secret("three")).refresh()
    assert fetch.requests[-1].headers == (("Authorization", "token=three"),)


async def test_odd_answers_are_trouble() -> None:
    """Whatever a server says, it is understood or it is trouble."""
    good = app(
        "/a",
        container={
            "docker": {"image": "i"},
            "portMappings": [{"containerPort": 1, "hostPort": 0, "labels": {"a": "b"}}],
        },
        networks=[{"mode": "container"}],
    )
    assert await survives(make, {URL: apps(good)}) > 10
