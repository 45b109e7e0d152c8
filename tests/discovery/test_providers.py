"""From consumers to providers: equal sources are asked once, and each knows how it is reached."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.config import Secret, load_text
from trimon.config.discovery.table import MECHANISMS, mechanism_of
from trimon.config.model import settings_of
from trimon.config.scrape import ScrapeConfig
from trimon.discovery.providers import Consumer, Provider, consumer_of, providers_of


def consumers(*jobs: str) -> list[Consumer]:
    text = "scrape_configs:\n" + "".join(f"  - {{job_name: j{i}, {job}}}\n" for i, job in enumerate(jobs))
    return [consumer_of(job) for job in load_text(text, "/p.yml").scrape_configs]


def shown(providers: Iterable[Provider]) -> list[tuple[str, tuple[str, ...]]]:
    return sorted((provider.mechanism, provider.consumers) for provider in providers)


def test_equal_discovery_is_one_provider() -> None:
    """Consumers with the same discovery share a provider; static groups of one consumer are one."""
    same = "file_sd_configs: [{files: [x.json]}]"
    made = providers_of(
        consumers("static_configs: [{targets: [a:1]}, {targets: [b:1]}]", same, same, same.replace("x", "y"))
    )
    assert shown(made.values()) == [("file", ("j1", "j2")), ("file", ("j3",)), ("static", ("j0",))]
    (static,) = (provider for provider in made.values() if provider.mechanism == "static")
    groups = static.request()[1]["groups"]
    assert [group["targets"] for group in groups] == [("a:1",), ("b:1",)]  # type: ignore[attr-defined]  # an object


def test_a_consumer_need_not_be_a_job() -> None:
    """Whoever has a name and sources is served, an Alertmanager set as well as a scrape job."""
    (job,) = consumers("file_sd_configs: [{files: [x.json]}]")
    made = providers_of([job, Consumer("alertmanagers", job.sources)])
    assert shown(made.values()) == [("file", ("j0", "alertmanagers"))]


def test_a_source_is_reached_as_it_is_configured() -> None:
    """The HTTP block of a source makes its client: credentials, headers, proxy; they are part of what is equal."""
    plain, secret = (
        f"trimon_sd_configs: [{{plugin: 'x:Y', proxy_url: 'http://p:1', basic_auth: {{username: u, password: {word}}}}}]"
        for word in ("one", "two")
    )
    made = providers_of(consumers(plain, secret))
    assert len(made) == 2
    client = next(iter(made.values())).client()
    assert client.proxy.url == "http://p:1"
    assert client.credentials() == (("Authorization", "Basic dTpvbmU="),)
    assert "one" not in "".join(made)


def test_every_row_of_the_table_is_whole() -> None:
    """Each mechanism has a field, a model that finds its row again, and names of its own."""
    assert len({row.name for row in MECHANISMS}) == len({row.field for row in MECHANISMS}) == len(MECHANISMS)
    for row in MECHANISMS:
        assert mechanism_of(row.model()) is row


sources = st.lists(st.integers(0, 3), max_size=4)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(sources, max_size=5))
def test_each_consumer_gets_all_its_sources(wanted: list[list[int]]) -> None:
    """The providers of a consumer ask for exactly the sources that it has, whoever shares them."""
    made = providers_of(
        consumers(
            *(
                "file_sd_configs: [" + ", ".join(f"{{files: [f{number}.yml]}}" for number in numbers) + "]"
                for numbers in wanted
            )
        )
    )
    for index, numbers in enumerate(wanted):
        files: list[Any] = [
            provider.request()[1]["files"] for provider in made.values() if f"j{index}" in provider.consumers
        ]
        assert sorted(files) == [[f"/f{number}.yml"] for number in sorted(set(numbers))]


def test_secrets_do_not_show_in_keys() -> None:
    """The key of a provider is equal for equal secrets and tells nothing about them."""
    assert Secret("x") == Secret("x")
    job = "trimon_sd_configs: [{plugin: 'x:Y', options: {token: hunter2}}]"
    assert list(providers_of(consumers(job))) == list(providers_of(consumers(job)))
    assert "hunter2" not in next(iter(providers_of(consumers(job))))


def test_a_mechanism_is_a_row() -> None:
    """A model with discovery has each row's field, at the end and in the table's order; its sources know their rows."""
    names = list(settings_of(ScrapeConfig))
    assert names[-len(MECHANISMS) :] == [row.field for row in MECHANISMS]
    job = load_text(
        "scrape_configs: [{job_name: j, static_configs: [{targets: [a:1]}], file_sd_configs: [{files: [x.json]}]}]",
        "/p.yml",
    ).scrape_configs[0]
    assert [mechanism_of(source).name for source in job.discovery()] == ["static", "file"]
    assert job.without_discovery().discovery() == ()


def test_siblings_have_names_and_addresses_of_their_own() -> None:
    """Sources of one mechanism in one job differ by their index, which no restart changes, and by where they ask."""
    jobs = consumers(
        "http_sd_configs: [{url: 'http://u:word@h/a'}, {url: 'http://h/b?token=word'}],"
        " kubernetes_sd_configs: [{role: pod, namespaces: {names: [x, y]}}, {role: node}],"
        " ec2_sd_configs: [{region: eu-west-1}], dns_sd_configs: [{names: [a.b], type: MX, port: 9}]",
        "http_sd_configs: [{url: 'http://h/c'}]",
    )
    made = {provider.name: provider.address() for provider in providers_of(jobs).values()}
    assert made == {
        "j0/http/0": "http://u:xxxxx@h/a",
        "j0/http/1": "http://h/b?token=<secret>",
        "j0/kubernetes/0": "role=pod, namespaces=x y",
        "j0/kubernetes/1": "role=node",
        "j0/ec2/0": "region=eu-west-1",
        "j0/dns/0": "a.b, type=MX",
        "j1/http/0": "http://h/c",
    }
