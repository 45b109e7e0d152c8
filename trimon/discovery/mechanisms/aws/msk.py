"""Brokers and controllers of MSK (`msk_sd_configs`, `aws_sd_configs` with the role msk).

Source: https://docs.aws.amazon.com/msk/1.0/apireference/. Labels: `__meta_msk_cluster_*`: `name`, `arn`, `state`, `type`,
`version`, `kafka_version`, `jmx_exporter_enabled`, `configuration_arn`, `configuration_revision`, `tag_<key>`;
`__meta_msk_node_*`: `type`, `arn`, `added_time`, `instance_type`, `attached_eni`; `__meta_msk_broker_*`: `id`,
`endpoint_index`, `client_subnet`, `client_vpc_ip`, `node_exporter_enabled`; `__meta_msk_controller_endpoint_index`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from trimon.config.discovery.aws import MskSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import keyed_labels
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.aws.client import AwsClient
from trimon.discovery.mechanisms.aws.service import AwsDiscovery
from trimon.discovery.mechanisms.clouds.paged import Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import flag_text, texts
from trimon.discovery.plugin import Context, TargetGroup

_PER_PAGE: Final = "100"
_PROVISIONED: Final = "PROVISIONED"
_PREFIX: Final = "__meta_msk_"
_SOFTWARE: Final = "provisioned.currentBrokerSoftwareInfo"
_CLUSTER: Final = {
    "cluster_name": "clusterName",
    "cluster_arn": "clusterArn",
    "cluster_state": "state",
    "cluster_type": "clusterType",
    "cluster_version": "currentVersion",
    "cluster_kafka_version": f"{_SOFTWARE}.kafkaVersion",
    "cluster_configuration_arn": f"{_SOFTWARE}.configurationArn",
}
_NODE: Final = {
    "node_arn": "nodeARN",
    "node_added_time": "addedToClusterTime",
    "node_instance_type": "instanceType",
}
_BROKER: Final = {
    "node_attached_eni": "attachedENIId",
    "broker_client_subnet": "clientSubnet",
    "broker_client_vpc_ip": "clientVpcIpAddress",
}


class MskDiscovery(AwsDiscovery):
    """Asks for provisioned clusters, those of the configuration or all, and for the nodes of each."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, MskSdConfig)
        super().__init__(config, context, "kafka")
        self._given = config.clusters
        self._at_once = config.request_concurrency

    async def refresh(self) -> list[TargetGroup]:
        """One group of all endpoints of all nodes; its source is the region."""
        region = await self.keys.region()
        if self._given:
            clusters = await self.of_each(self._given, _described, self._at_once)
        else:
            clusters = await all_pages(self._page)
        clusters = [each for each in clusters if each.text("clusterType") == _PROVISIONED]
        nodes = await self.of_each(clusters, _nodes, self._at_once)
        found = [(cluster, node) for cluster, own in zip(clusters, nodes, strict=True) for node in own]
        endpoints = [each for cluster, node in found for each in _endpoints(cluster, node)]
        return await self.group(region, endpoints, self._labels)

    async def _page(self, token: str) -> Page[Record]:
        query = {"clusterTypeFilter": _PROVISIONED, "maxResults": _PER_PAGE}
        more = {"nextToken": token} if token else {}
        answer = await self.client.get("/api/v2/clusters", {**query, **more}, "ListClustersV2")
        return Page(answer.records("clusterInfoList"), answer.text("nextToken"))

    def _labels(self, endpoint: tuple[Record, Record, int, str]) -> Labels:
        cluster, node, index, host = endpoint
        labels = texts(cluster, _PREFIX, _CLUSTER) | texts(node, _PREFIX, _NODE)
        labels |= keyed_labels(f"{_PREFIX}cluster_tag_", cluster.text_map("tags"))
        provisioned = cluster.record("provisioned")
        software = provisioned.record("currentBrokerSoftwareInfo")
        if "configurationRevision" in software:
            revision = str(software.whole("configurationRevision"))
            labels[f"{_PREFIX}cluster_configuration_revision"] = revision
        monitoring = provisioned.record("openMonitoring").record("prometheus")
        labels |= _exporter(monitoring, "jmxExporter", "cluster_jmx_exporter_enabled")
        if "brokerNodeInfo" in node:
            broker = node.record("brokerNodeInfo")
            labels |= texts(broker, _PREFIX, _BROKER) | {
                f"{_PREFIX}node_type": "BROKER",
                f"{_PREFIX}broker_id": f"{broker.number('brokerId'):.0f}",
                f"{_PREFIX}broker_endpoint_index": str(index),
                **_exporter(monitoring, "nodeExporter", "broker_node_exporter_enabled"),
            }
        else:
            labels |= {
                f"{_PREFIX}node_type": "CONTROLLER",
                f"{_PREFIX}controller_endpoint_index": str(index),
            }
        return {"__address__": self.address(host), **labels}


async def _described(client: AwsClient, arn: str) -> Record:
    path = f"/api/v2/clusters/{quote(arn, safe='')}"
    return (await client.get(path, {}, "DescribeClusterV2")).record("clusterInfo")


async def _nodes(client: AwsClient, cluster: Record) -> list[Record]:
    path = f"/v1/clusters/{quote(cluster.text('clusterArn'), safe='')}/nodes"

    async def page(token: str) -> Page[Record]:
        more = {"nextToken": token} if token else {}
        answer = await client.get(path, {"maxResults": _PER_PAGE, **more}, "ListNodes")
        return Page(answer.records("nodeInfoList"), answer.text("nextToken"))

    return await all_pages(page)


def _endpoints(cluster: Record, node: Record) -> Iterator[tuple[Record, Record, int, str]]:
    """The endpoints of a node that is a broker or a controller, with their places."""
    for kind in ("brokerNodeInfo", "controllerNodeInfo"):
        if kind in node:
            for index, host in enumerate(node.record(kind).texts("endpoints")):
                yield cluster, node, index, host
            return


def _exporter(monitoring: Record, name: str, label: str) -> Labels:
    if name not in monitoring:
        return {}
    return {_PREFIX + label: flag_text(monitoring.record(name).flag("enabledInBroker"))}
