"""Jobs as people share them, unchanged: what is scraped, and under which labels. Those of Kubernetes stand with its roles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import trio
from trio.testing import MockClock

from tests.discovery.mechanisms.aws.test_aws import xml
from trimon.config import load_text
from trimon.discovery.doubles import Found, PreparedFetch, context_of_doubles
from trimon.discovery.providers import consumer_of, providers_of
from trimon.discovery.registry import Registry
from trimon.fetch.request import FetchRequest, Response
from trimon.scrape.target import Target, build_target
from trimon.server.jobs import pool_options


class ByPath(PreparedFetch):
    """Answers by the path of a request, whatever its query."""

    async def send(self, request: FetchRequest) -> Response:
        """As prepared; the same index says that nothing has changed."""
        await trio.lowlevel.checkpoint()
        prepared = self.answers[urlsplit(request.url).path]
        body = prepared if isinstance(prepared, bytes) else json.dumps(prepared).encode()
        return Response(
            200, "OK", "application/json", body, len(body), {"x-consul-index": "7", "api-version": "1.51"}
        )


def scraped(job: str, answers: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Scrape URLs of a job with the labels of each, without those that all have."""
    config = load_text(job, "p.yml").scrape_configs[0]
    (provider,) = providers_of([consumer_of(config)]).values()
    name, options = provider.request()
    found = Found()
    made = Registry().made(name, options, context_of_doubles(fetch=ByPath(dict(answers))))

    async def main() -> None:
        with trio.move_on_after(30):
            await made.run(found.sink)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    built = [build_target(labels, pool_options(config)) for labels in found.targets]
    return {
        each.url: {label: value for label, value in each.labels if label not in ("job", "instance")}
        for each in built
        if isinstance(each, Target)
    }


def entry(name: str, address: str, *tags: str) -> dict[str, Any]:
    return {
        "Node": {"Node": f"node-{name}", "Address": address, "Meta": {"rack": "r1"}},
        "Service": {"ID": name, "Service": name, "Tags": list(tags), "Port": 9100},
        "Checks": [{"CheckID": "c", "Status": "passing"}],
    }


def test_consul_with_labels_from_tags() -> None:
    """Services with a tag are kept, `key=value` tags become labels, others tell path and scheme."""
    job = """
scrape_configs:
- job_name: consul
  consul_sd_configs:
  - server: 'consul:8500'
  relabel_configs:
  - source_labels: [__meta_consul_tags]
    regex: .*,prometheus,.*
    action: keep
  - source_labels: [__meta_consul_service]
    target_label: service
  - source_labels: [__meta_consul_tags]
    regex: .*,env=([^,]+),.*
    target_label: env
  - source_labels: [__meta_consul_tags]
    regex: .*,metrics-path=([^,]+),.*
    target_label: __metrics_path__
  - regex: __meta_consul_metadata_(.+)
    action: labelmap
  - source_labels: [__meta_consul_node]
    target_label: node
"""
    answers = {
        "/v1/agent/self": {"Config": {"Datacenter": "dc1"}},
        "/v1/catalog/services": {"web": ["prometheus"], "db": []},
        "/v1/health/service/web": [entry("web", "10.0.0.1", "prometheus", "env=prod", "metrics-path=/m")],
        "/v1/health/service/db": [entry("db", "10.0.0.2", "env=prod")],
    }
    assert scraped(job, answers) == {
        "http://10.0.0.1:9100/m": {"service": "web", "env": "prod", "rack": "r1", "node": "node-web"}
    }


def machine(name: str, state: str, **tags: str) -> dict[str, Any]:
    return {
        "instanceId": f"i-{name}",
        "instanceState": {"name": state},
        "privateIpAddress": f"10.0.0.{name}",
        "placement": {"availabilityZone": "eu-west-1a"},
        "tagSet": {"item": [{"key": key, "value": value} for key, value in tags.items()]},
    }


def test_ec2_by_tag() -> None:
    """Machines that run and have a tag, on the port of another tag, under the name of a third."""
    job = """
scrape_configs:
- job_name: ec2
  ec2_sd_configs:
  - region: eu-west-1
    access_key: AKIA
    secret_key: not-so-secret
    port: 9100
    filters: [{name: 'tag:Monitoring', values: [enabled]}]
  relabel_configs:
  - source_labels: [__meta_ec2_instance_state]
    regex: running
    action: keep
  - source_labels: [__meta_ec2_tag_Name, __meta_ec2_availability_zone]
    separator: .
    target_label: name
  - source_labels: [__meta_ec2_private_ip, __meta_ec2_tag_Port]
    regex: (.+);(\\d+)
    replacement: ${1}:${2}
    target_label: __address__
  - regex: __meta_ec2_tag_(.+)
    replacement: tag_$1
    action: labelmap
"""
    machines = [
        machine("1", "running", Name="a", Port="9200"),
        machine("2", "stopped", Name="b"),
        machine("3", "running", Name="c"),
    ]
    zone = {"zoneName": "eu-west-1a", "zoneId": "euw1-az1"}
    reservations = {"item": {"ownerId": "o", "instancesSet": {"item": machines}}}
    both = {"availabilityZoneInfo": {"item": zone}, "reservationSet": reservations}
    assert scraped(job, {"/": xml("R", both).encode()}) == {
        "http://10.0.0.1:9200/metrics": {"name": "a.eu-west-1a", "tag_Name": "a", "tag_Port": "9200"},
        "http://10.0.0.3:9100/metrics": {"name": "c.eu-west-1a", "tag_Name": "c"},
    }


def task(name: str, state: str, address: str) -> dict[str, Any]:
    return {
        "ID": name,
        "ServiceID": "s",
        "NodeID": "n",
        "Spec": {"ContainerSpec": {"Labels": {"prometheus-job": "web"}}},
        "Status": {"State": state},
        "DesiredState": state,
        "NetworksAttachments": [
            {"Network": {"ID": "net"}, "Addresses": [f"{address}/24"]},
            {"Network": {"ID": "in"}, "Addresses": ["10.255.0.9/16"]},
        ],
    }


def test_tasks_of_a_swarm() -> None:
    """Tasks that ought to run and have a job as a label, in the network that is not the ingress, by port and node."""
    job = """
scrape_configs:
- job_name: swarm
  dockerswarm_sd_configs:
  - host: 'http://docker:2375'
    role: tasks
    port: 8080
  relabel_configs:
  - source_labels: [__meta_dockerswarm_task_desired_state]
    regex: running
    action: keep
  - source_labels: [__meta_dockerswarm_container_label_prometheus_job]
    regex: .+
    action: keep
  - source_labels: [__meta_dockerswarm_network_ingress]
    regex: 'true'
    action: drop
  - source_labels: [__meta_dockerswarm_container_label_prometheus_job]
    target_label: app
  - source_labels: [__meta_dockerswarm_node_hostname]
    target_label: node
  - source_labels: [__meta_dockerswarm_service_name]
    target_label: service
"""
    version = "/v1.51"
    answers: dict[str, Any] = {
        "/services": [{"ID": "s", "Spec": {"Name": "shop_web", "Mode": {"Replicated": {}}}}],
        "/tasks": [task("t1", "running", "10.0.1.5"), task("t2", "shutdown", "10.0.1.6")],
        "/nodes": [{"ID": "n", "Description": {"Hostname": "worker-1"}, "Spec": {}, "Status": {}}],
        "/networks": [
            {"Id": "net", "Name": "shop_default", "Scope": "swarm"},
            {"Id": "in", "Name": "ingress", "Scope": "swarm", "Ingress": True},
        ],
    }
    prepared = {prefix + path: value for path, value in answers.items() for prefix in (version, "")}
    assert scraped(job, {**prepared, "/_ping": b"OK"}) == {
        "http://10.0.1.5:8080/metrics": {"app": "web", "node": "worker-1", "service": "shop_web"}
    }
