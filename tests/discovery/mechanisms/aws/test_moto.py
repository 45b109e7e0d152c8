"""EC2, ECS and STS as moto plays them: a peer whose answers were written by others, and that boto3 can read.

It knows no Lightsail, no nodes of MSK, no serverless caches, and instances of RDS not by the ARN of their cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.moto import moto
from trimon.clock import WallClock
from trimon.config import load_text
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.plugin import Context
from trimon.discovery.registry import Registry
from trimon.discovery.sink import check_groups
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.log import LogBuffer
from trimon.offload import ThreadOffload

boto3: Any = pytest.importorskip("boto3", reason="moto is not installed")
pytest.importorskip("moto", reason="moto is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")]

REGION = "eu-west-1"
KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The URL of a moto of its own, with some machines, a cluster of each kind, and a role."""
    with moto() as url:
        _fill(url)
        yield url


def _client(service: str, url: str) -> Any:
    return boto3.client(service, region_name=REGION, endpoint_url=url, **KEYS)


def _fill(url: str) -> None:
    ec2 = _client("ec2", url)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    for env, count in (("prod", 12), ("test", 1)):
        tags = [
            {
                "ResourceType": "instance",
                "Tags": [{"Key": "env", "Value": env}, {"Key": "a/b", "Value": "&<é"}],
            }
        ]
        for _ in range(count):
            ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet, TagSpecifications=tags)
    ecs = _client("ecs", url)
    ecs.create_cluster(clusterName="one", tags=[{"key": "team", "value": "blue"}])
    container = {"name": "x", "image": "y", "memory": 128, "cpu": 1}
    fargate = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
    ecs.register_task_definition(family="f", containerDefinitions=[container], **fargate)
    placed = {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": []}}
    ecs.run_task(cluster="one", taskDefinition="f", launchType="FARGATE", networkConfiguration=placed)


async def found(mechanism: str, endpoint: str, **options: object) -> list[dict[str, str]]:
    """The targets of one refresh."""
    config = {"region": REGION, "endpoint": endpoint, "access_key": "a", "secret_key": "b", **options}
    job = {"job_name": "j", f"{mechanism}_sd_configs": [config]}
    loaded = load_text(json.dumps({"scrape_configs": [job]}), "p.yml").scrape_configs[0]
    (source,) = getattr(loaded, f"{mechanism}_sd_configs")
    fetch = HttpFetch(ClientOptions())
    context = Context(
        "t", fetch, WallClock(), ThreadOffload(2), LogBuffer(), lambda: HttpFetch(ClientOptions())
    )
    discovery = Registry().factory(mechanism)({"config": source}, context)
    assert isinstance(discovery, RefreshDiscovery)
    try:
        checked = check_groups(await discovery.refresh())
    finally:
        await fetch.aclose()
    return [dict(target) for targets in checked.by_source.values() for target in targets]


async def test_machines_are_found_by_their_tags(endpoint: str) -> None:
    """All of them, or those that a filter selects, with their zones by id, and texts that XML has to write in its own way."""
    everything = await found("ec2", endpoint)
    assert len(everything) == 13
    (only,) = await found(
        "aws", endpoint, role="ec2", filters=[{"name": "tag:env", "values": ["test", "none"]}]
    )
    assert only["__meta_ec2_tag_env"] == "test"
    assert only["__meta_ec2_tag_a_b"] == "&<é"
    assert only["__meta_ec2_availability_zone"].startswith(REGION)
    assert only["__meta_ec2_availability_zone_id"].startswith("euw1-az")
    assert only["__address__"] == f"{only['__meta_ec2_private_ip']}:80"
    assert only["__meta_ec2_instance_state"] == "running"
    assert only in everything


async def test_a_role_is_assumed(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """STS lends keys, and these sign what EC2 is asked."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{endpoint}/")
    role = "arn:aws:iam::123456789012:role/scrape"
    assert len(await found("ec2", endpoint, role_arn=role, external_id="e")) == 13


async def test_tasks_are_found(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the address of the network interface of each and the tags of its cluster."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", f"{endpoint}/")
    (task,) = await found("ecs", endpoint)
    assert task["__meta_ecs_cluster"] == "one"
    assert task["__meta_ecs_tag_cluster_team"] == "blue"
    assert task["__meta_ecs_network_mode"] == "awsvpc"
    assert task["__address__"] == f"{task['__meta_ecs_ip_address']}:80"
