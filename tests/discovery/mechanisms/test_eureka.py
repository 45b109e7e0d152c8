"""Eureka: the contract of discoveries, metadata as they are written, and answers that are odd."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.oddanswers import survives
from trimon.config.discovery.registries import EurekaSdConfig
from trimon.config.secret import SecretUrl
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.mechanisms.registries.eureka import EurekaDiscovery
from trimon.discovery.plugin import Context

URL = "http://e/eureka/apps"
INSTANCE = (
    "<instance><instanceId>i1</instanceId><hostName>h{port}</hostName><port enabled='true'>{port}</port>"
    "<countryId> 1 </countryId><metadata><a.b x='>'>1 &amp; <c/></a.b><e/></metadata></instance>"
)


def document(*ports: int, before: str = "") -> str:
    instances = "".join(INSTANCE.format(port=port) for port in ports)
    return f"{before}<applications><application><name>A</name>{instances}</application></applications>"


def make(context: Context) -> EurekaDiscovery:
    return EurekaDiscovery({"config": EurekaSdConfig(server=SecretUrl("http://e/eureka"))}, context)


class TestEureka(DiscoveryContract):
    """Eureka keeps the contract."""

    def make(self, context: Context) -> EurekaDiscovery:
        return make(context)

    def prepare(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = document(1, 2)

    def change(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = document(1)

    def break_source(self, fetch: PreparedFetch) -> None:
        fetch.answers[URL] = document(1)[:-5]


async def test_metadata_are_as_they_are_written() -> None:
    """Metadata keep their entities, tags and spaces; other texts do not."""
    fetch = PreparedFetch({URL: document(7).replace("i1", "a&amp;b")})
    (group,) = await make(context_of_doubles(fetch=fetch)).refresh()
    (target,) = group.targets
    assert target["__meta_eureka_app_instance_metadata_a_b"] == "1 &amp; <c/>"
    assert target["__meta_eureka_app_instance_metadata_e"] == ""
    assert target["instance"] == "a&b"
    assert target["__address__"] == "h7:7"


def variants(body: bytes | str) -> Iterator[bytes]:
    """Texts of elements and attributes replaced, and pieces cut out."""
    text = body.decode() if isinstance(body, bytes) else body
    for old in ("i1", "h1", ">1<", "'true'", " 1 ", "A"):
        for new in ("", "x", "-1", "9" * 30, "1.5", "&#0;", "&nope;", "<x>", "'", "\ufffe", "<![CDATA[<]]>"):
            yield text.replace(old, new).encode()
    for at in range(0, len(text), 3):
        yield text[:at].encode()
        yield (text[:at] + text[at + 3 :]).encode()


async def test_odd_answers_are_trouble() -> None:
    """Whatever a server says, it is understood or it is trouble."""
    assert await survives(make, {URL: document(1)}, variants) > 10
