"""Every service of AWS over prepared answers: the contract of discoveries, odd answers, requests, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
from trio.testing import MockClock

from trimon.config import load_text
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.refresh import TROUBLE, RefreshDiscovery
from trimon.discovery.asking.xmltree import tree_of
from trimon.discovery.contract import DiscoveryContract
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.plugin import Context, Discovery
from trimon.discovery.registry import Registry
from trimon.discovery.sink import check_groups
from trimon.fetch.request import FetchRequest, Response

URL = "http://aws.example"
EC2 = "https://ec2.r.amazonaws.com/"
KEYS = {"region": "r", "access_key": "a", "secret_key": "b", "refresh_interval": "30s", "endpoint": URL}
CLUSTER = "arn:aws:x:r:1:cluster/c"
Answers = dict[str, Any]


def xml(tag: str, value: object) -> str:
    """A value as XML: a list is the element again and again."""
    if isinstance(value, list):
        return "".join(xml(tag, each) for each in value)
    inner = "".join(xml(*each) for each in value.items()) if isinstance(value, dict) else str(value)
    return f"<{tag}>{inner}</{tag}>"


def action(request: FetchRequest) -> str:
    """What a request asks for."""
    headers = dict(request.headers)
    if target := headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if request.method == "POST":
        return parse_qs(request.body.decode())["Action"][0]
    return urlsplit(request.url).path


class Service:
    """Answers by action: text as it is, objects as JSON."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    def __call__(self, request: FetchRequest) -> bytes | None:
        answer = self.answers.get(action(request))
        return answer if answer is None or isinstance(answer, bytes) else json.dumps(answer).encode()

    def fill(self, fetch: PreparedFetch) -> None:
        """Answer at all URLs that are asked."""
        paths = [path for path in self.answers if path.startswith("/")]
        queries = ("", "?maxResults=100", "?clusterTypeFilter=PROVISIONED&maxResults=100")
        fetch.answers.clear()
        for url in (f"{URL}/", EC2, *(f"{URL}{path}{query}" for path in paths for query in queries)):
            fetch.answers[url] = self


def ec2(count: int) -> Answers:
    interface = {
        "subnetId": "s",
        "attachment": {"deviceIndex": 1},
        "ipv6AddressesSet": {"item": {"ipv6Address": "2001:db8::1", "isPrimaryIpv6": "true"}},
    }
    machines = [
        {
            "instanceId": f"i{at}",
            "privateIpAddress": f"10.0.0.{at}",
            "vpcId": "v",
            "placement": {"availabilityZone": "z"},
            "networkInterfaceSet": {"item": interface},
            "tagSet": {"item": {"key": "a b", "value": "c"}},
        }
        for at in range(count)
    ]
    zones = xml("R", {"availabilityZoneInfo": {"item": {"zoneName": "z", "zoneId": "z1"}}})
    found = {
        "reservationSet": {"item": [{"ownerId": "o", "instancesSet": {"item": each}} for each in machines]}
    }
    return {"DescribeAvailabilityZones": zones.encode(), "DescribeInstances": xml("R", found).encode()}


def lightsail(count: int) -> Answers:
    tags = [{"key": "a", "value": "b"}, {"key": "only"}]
    found = [{"name": f"n{at}", "privateIpAddress": f"10.0.0.{at}", "tags": tags} for at in range(count)]
    return {"GetInstances": {"instances": found}}


def ecs(count: int) -> Answers:
    details = [
        [
            {"name": "privateIPv4Address", "value": f"10.0.0.{at}"},
            {"name": "networkInterfaceId", "value": "e"},
        ]
        for at in range(count)
    ]
    attachments = [{"type": "ElasticNetworkInterface", "details": each} for each in details]
    tasks = [
        {"taskArn": f"t{at}", "attachments": [each], "containerInstanceArn": "h", "group": "service:w"}
        for at, each in enumerate(attachments)
    ]
    interfaces = {
        "networkInterfaceSet": {"item": {"networkInterfaceId": "e", "association": {"publicIp": "x"}}}
    }
    return {
        "ListClusters": {"clusterArns": [CLUSTER]},
        "DescribeClusters": {"clusters": [{"clusterArn": CLUSTER, "clusterName": "c"}]},
        "ListServices": {"serviceArns": ["s"]},
        "DescribeServices": {"services": [{"serviceName": "w", "tags": [{"key": "a", "value": "b"}]}]},
        "ListTasks": {"taskArns": [each["taskArn"] for each in tasks]},
        "DescribeTasks": {"tasks": tasks},
        "DescribeContainerInstances": {
            "containerInstances": [{"containerInstanceArn": "h", "ec2InstanceId": "i0"}]
        },
        "DescribeNetworkInterfaces": xml("R", interfaces).encode(),
        "DescribeInstances": ec2(1)["DescribeInstances"],
    }


def msk(count: int) -> Answers:
    cluster = {
        "clusterArn": "c",
        "clusterType": "PROVISIONED",
        "tags": {"a": "b"},
        "provisioned": {
            "currentBrokerSoftwareInfo": {"configurationRevision": 1},
            "openMonitoring": {"prometheus": {"jmxExporter": {"enabledInBroker": True}}},
        },
    }
    nodes = [{"brokerNodeInfo": {"brokerId": at, "endpoints": [f"b{at}.example"]}} for at in range(count)]
    nodes.append({"controllerNodeInfo": {"endpoints": ["c.example"]}})
    return {
        "/api/v2/clusters": {"clusterInfoList": [cluster]},
        "/v1/clusters/c/nodes": {"nodeInfoList": nodes},
    }


def elasticache(count: int) -> Answers:
    endpoint = [{"Address": f"n{at}.example", "Port": 6379} for at in range(count)]
    caches = {"member": [{"ARN": f"s{at}", "Endpoint": each} for at, each in enumerate(endpoint)]}
    nodes = {"CacheNode": [{"CacheNodeId": f"{at}", "Endpoint": each} for at, each in enumerate(endpoint)]}
    cluster = {"ARN": "c", "CacheNodes": nodes, "SecurityGroups": {"member": {"SecurityGroupId": "g"}}}
    tags = {"TagList": {"Tag": {"Key": "a b", "Value": "c"}}}
    answers = {
        "DescribeServerlessCaches": {"ServerlessCaches": caches},
        "DescribeCacheClusters": {"CacheClusters": {"CacheCluster": cluster}},
        "ListTagsForResource": tags,
    }
    return {name: xml("R", {f"{name}Result": answer}).encode() for name, answer in answers.items()}


def rds(count: int) -> Answers:
    cluster = {
        "DBClusterArn": "c",
        "ClusterCreateTime": "2026-01-02T03:04:05.678Z",
        "DBClusterMembers": {"DBClusterMember": {"DBInstanceIdentifier": "i0", "IsClusterWriter": "true"}},
    }
    endpoint = [{"Address": f"d{at}.example", "Port": 5432} for at in range(count)]
    instances = [{"DBInstanceIdentifier": f"i{at}", "Endpoint": each} for at, each in enumerate(endpoint)]
    answers = {
        "DescribeDBClusters": {"DBClusters": {"DBCluster": cluster}},
        "DescribeDBInstances": {"DBInstances": {"DBInstance": instances}},
    }
    return {name: xml("R", {f"{name}Result": answer}).encode() for name, answer in answers.items()}


@dataclass(frozen=True, slots=True)
class Case:
    """A mechanism with its configuration and the answers where it has that many targets."""

    mechanism: str
    config: Mapping[str, Any]
    answers: Callable[[int], Answers]


CASES = {
    "ec2": Case("ec2", {"filters": [{"name": "tag:a", "values": ["b", "c"]}]}, ec2),
    "lightsail": Case("lightsail", {}, lightsail),
    "ecs": Case("ecs", {}, ecs),
    "msk": Case("msk", {}, msk),
    "elasticache": Case("elasticache", {}, elasticache),
    "rds": Case("rds", {"filters": [{"name": "engine", "values": ["x"]}]}, rds),
    "aws": Case("aws", {"role": "rds"}, rds),
}


def made(case: Case, context: Context, **more: object) -> Discovery:
    job = {"job_name": "j", f"{case.mechanism}_sd_configs": [{**KEYS, **case.config, **more}]}
    loaded = load_text(json.dumps({"scrape_configs": [job]}), "p.yml").scrape_configs[0]
    (source,) = getattr(loaded, f"{case.mechanism}_sd_configs")
    return Registry().factory(case.mechanism)({"config": source}, context)


@pytest.mark.parametrize("name", CASES)
def test_the_contract_is_kept(name: str) -> None:
    """Each test of the suite passes, with two targets, then with one, and with a source that is down."""
    case = CASES[name]

    class Suite(DiscoveryContract):
        def make(self, context: Context) -> Discovery:
            return made(case, context)

        def prepare(self, fetch: PreparedFetch) -> None:
            Service(case.answers(2)).fill(fetch)

        def change(self, fetch: PreparedFetch) -> None:
            Service(case.answers(1)).fill(fetch)

        def break_source(self, fetch: PreparedFetch) -> None:
            fetch.answers.clear()

    for test in (each for each in dir(Suite) if each.startswith("test_")):
        getattr(Suite(), test)()


def refreshed(
    case: Case, answers: Answers, fetch: PreparedFetch | None = None
) -> list[dict[str, str]] | None:
    """The targets of one refresh; nothing where the source is in trouble."""
    fetch = fetch or PreparedFetch()
    Service(answers).fill(fetch)

    async def scene() -> list[dict[str, str]] | None:
        discovery = made(case, context_of_doubles(fetch=fetch))
        assert isinstance(discovery, RefreshDiscovery)
        try:
            checked = check_groups(await discovery.refresh())
        except TROUBLE:
            return None
        return [dict(target) for targets in checked.by_source.values() for target in targets]

    return trio.run(scene, clock=MockClock(autojump_threshold=0))


def spoiled(value: object, odd: object) -> Iterator[object]:
    """The value with each of its parts replaced by the odd one, one at a time."""
    yield odd
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: each} for each in spoiled(inner, odd))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from ([*value[:at], each, *value[at + 1 :]] for each in spoiled(inner, odd))


ODD: list[object] = [None, True, -1, 1e300, "", "\ud800", "ü", [], [None], {}, {"a": 1}]
BODIES = [b"", b"{", b"<", b"<a>", b"<a/>", b"\xff", b"<a>\xff</a>", b"<a><b></a>", b"[" * 100_000]
BODIES += [
    b"<a>" * 100_000,
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    b"<?xml version='1.0' encoding='x'?><a/>",
]


@pytest.mark.parametrize("name", CASES)
def test_odd_answers_are_trouble_and_nothing_else(name: str) -> None:
    """Each part of each answer replaced by something odd, texts cut anywhere, and bodies of all kinds."""
    case = CASES[name]
    good = case.answers(1)
    assert refreshed(case, good)
    troubles = 0
    for of, answer in good.items():
        bodies = [*BODIES]
        if isinstance(answer, bytes):
            bodies += [answer[:at] for at in range(0, len(answer), 7)]
            bodies += [answer.replace(b">1<", odd) for odd in (b"><", b">-1<", b">99999<", b">x<")]
        for body in bodies:
            troubles += refreshed(case, {**good, of: body}) is None
        if not isinstance(answer, bytes):
            for odd in ODD:
                for each in spoiled(answer, odd):
                    troubles += refreshed(case, {**good, of: each}) is None
    assert troubles


def test_keys_that_are_there_make_no_other_request() -> None:
    """With keys in the configuration all that is asked is the service."""
    fetch = PreparedFetch()
    assert refreshed(CASES["ec2"], ec2(1), fetch)
    asked = [action(request) for request in fetch.requests]
    assert asked == ["DescribeAvailabilityZones", "DescribeInstances"]
    form = parse_qs(fetch.requests[1].body.decode())
    assert form["Filter.1.Name"] == ["tag:a"]
    assert [form[f"Filter.1.Value.{at}"] for at in (1, 2)] == [["b"], ["c"]]


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        (
            b"<R><Errors><Error><Code>AuthFailure</Code><Message>m</Message></Error></Errors></R>",
            {},
            "AuthFailure: m",
        ),
        (
            b'{"__type": "x#UnrecognizedClientException", "message": "m"}',
            {},
            "UnrecognizedClientException: m",
        ),
        (b'{"message": "m"}', {"x-amzn-errortype": "NotFoundException:http://x"}, "NotFoundException: m"),
        (b"oops", {}, "HTTP status 400 Bad Request"),
    ],
)
async def test_errors_say_what_the_service_says(body: bytes, headers: dict[str, str], said: str) -> None:
    """The code and the message of an error in each form that services have; and how long they want to be left alone."""
    answer = Response(400, "Bad Request", "x", body, len(body), {**headers, "retry-after": "7"})
    discovery = made(CASES["lightsail"], context_of_doubles(fetch=PreparedFetch({f"{URL}/": answer})))
    assert isinstance(discovery, RefreshDiscovery)
    with pytest.raises(SourceError) as caught:
        await discovery.refresh()
    assert said in str(caught.value)
    assert caught.value.retry_after_s == 7


def test_entities_are_refused() -> None:
    """A document type is an error before anything that it declares is looked at."""
    with pytest.raises(SourceError, match=r"document type \('a'\)"):
        tree_of(b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>')
    assert tree_of(b"<n:a xmlns:n='x'>&lt;<b>t</b></n:a>").text_at("b") == "t"
