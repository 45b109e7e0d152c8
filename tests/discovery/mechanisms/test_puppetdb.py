"""PuppetDB: the contract of discoveries, parameters as labels, and answers that are odd."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.oddanswers import survives
from trimon.config.discovery.http import PuppetDbSdConfig
from trimon.config.secret import SecretUrl
from trimon.discovery.asking.record import SourceError
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.puppetdb import PuppetDbDiscovery
from trimon.discovery.plugin import Context
from trimon.fetch.request import Response

URL = "http://p/base/pdb/query/v4"


def resource(name: str, **parameters: Any) -> dict[str, Any]:
    return {
        "certname": name, "resource": "r", "type": "Class", "title": "T", "exported": False,
        "tags": ["a", "b"], "file": "/f", "environment": "prod", "parameters": parameters,
    }  # fmt: skip


def make(context: Context) -> PuppetDbDiscovery:
    config = PuppetDbSdConfig(url=SecretUrl("http://p/base/"), query="q > 1", include_parameters=True)
    return PuppetDbDiscovery({"config": config}, context)


class TestPuppetDb(DiscoveryContract):
    """PuppetDB keeps the contract."""

    def make(self, context: Context) -> PuppetDbDiscovery:
        return make(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = json.dumps([resource("a"), resource("b")])

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = json.dumps([resource("a")])

    def break_source(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = Response(200, "OK", "text/html", b"[]", 2)


async def test_parameters_become_labels() -> None:
    """Numbers are written as Go does, lists are joined, what is inside others has both names, what is empty is left out."""
    parameters = {
        "a.b": "x", "t": True, "n": 9100, "big": 1234567, "f": 0.5, "list": ["x", 1, None, ["y"]],
        "empty": "", "none": None, "no": [], "in": {"c-d": {"e": 1}},
    }  # fmt: skip
    fetch = PreparedFetch({URL: json.dumps([resource("h", **parameters)])})
    (group,) = await make(context_of_doubles(fetch=fetch)).refresh()
    prefix = "__meta_puppetdb_parameter_"
    found = {name.removeprefix(prefix): value for name, value in group.targets[0].items() if prefix in name}
    assert found == {
        "a_b": "x", "t": "true", "n": "9100", "big": "1.234567e+06", "f": "0.5", "list": "x,1,,",
        "in_c_d_e": "1",
    }  # fmt: skip
    assert fetch.requests[0].body == rb'{"query":"q \u003e 1"}'


async def test_parameters_are_not_nested_for_ever() -> None:
    """Depth is bounded."""
    nested: dict[str, Any] = {}
    for _ in range(200):
        nested = {"a": nested}
    fetch = PreparedFetch({URL: json.dumps([resource("h", **nested)])})
    with pytest.raises(SourceError, match="nested deeper"):
        await make(context_of_doubles(fetch=fetch)).refresh()


async def test_odd_answers_are_trouble() -> None:
    """Whatever a server says, it is understood or it is trouble."""
    assert await survives(make, {URL: json.dumps([resource("a", x=1, y=[1, "a"], z={"a": "b"})])}) > 10
