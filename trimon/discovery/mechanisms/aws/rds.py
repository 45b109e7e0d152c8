"""Database instances of clusters of RDS (`rds_sd_configs`, `aws_sd_configs` with the role rds).

Source: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/. Labels: `__meta_rds_cluster_*` and
`__meta_rds_instance_*` of the tables in `rdsfields.py`, and `tag_<key>` of both; `__meta_rds_instance_is_cluster_writer`.
A label is there where the API says its field. Instances without a cluster are not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimon.config.discovery.aws import RdsSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import keyed_labels
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.xmltree import Element
from trimon.discovery.mechanisms.aws.client import AwsClient
from trimon.discovery.mechanisms.aws.fields import pairs, said
from trimon.discovery.mechanisms.aws.rdsfields import CLUSTER, INSTANCE, TIMES
from trimon.discovery.mechanisms.aws.service import AwsDiscovery
from trimon.discovery.mechanisms.clouds.paged import Labels, Page, all_pages
from trimon.discovery.plugin import Context, TargetGroup

_VERSION: Final = "2014-10-31"
_PER_PAGE: Final = "100"
_CLUSTER_PREFIX: Final = "__meta_rds_cluster_"
_INSTANCE_PREFIX: Final = "__meta_rds_instance_"


class RdsDiscovery(AwsDiscovery):
    """Asks for clusters, those of the configuration or all, and for the instances of each."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, RdsSdConfig)
        super().__init__(config, context, "rds")
        self._given = config.clusters
        self._at_once = config.request_concurrency
        self._filters = config.filters

    async def refresh(self) -> list[TargetGroup]:
        """One group of all instances; its source is the region."""
        region = await self.keys.region()
        if self._given:
            described = await self.of_each(self._given, _described, self._at_once)
            clusters = [each for some in described for each in some]
        else:
            clusters = await _clusters(self.client, {})
        clusters = [each for each in clusters if each.text_at("DBClusterArn")]
        instances = await self.of_each(clusters, self._instances, self._at_once)
        found = [(cluster, each) for cluster, own in zip(clusters, instances, strict=True) for each in own]
        return await self.group(region, found, lambda pair: self._labels(*pair))

    async def _instances(self, client: AwsClient, cluster: Element) -> list[Element]:
        filters: list[tuple[str, tuple[str, ...]]] = [("db-cluster-id", (cluster.text_at("DBClusterArn"),))]
        filters += [(each.name, each.values) for each in self._filters]
        form = {"MaxRecords": _PER_PAGE}
        for at, (name, values) in enumerate(filters, 1):
            form[f"Filters.Filter.{at}.Name"] = name
            form |= {f"Filters.Filter.{at}.Values.Value.{of}": each for of, each in enumerate(values, 1)}

        async def page(marker: str) -> Page[Element]:
            more = {"Marker": marker} if marker else {}
            answer = await client.query(_VERSION, "DescribeDBInstances", {**form, **more})
            items = list(answer.each("DescribeDBInstancesResult.DBInstances.DBInstance"))
            return Page(items, answer.text_at("DescribeDBInstancesResult.Marker"))

        return await all_pages(page)

    def _labels(self, cluster: Element, instance: Element) -> Labels:
        labels = said(cluster, _CLUSTER_PREFIX, CLUSTER, TIMES)
        labels |= keyed_labels(f"{_CLUSTER_PREFIX}tag_", pairs(cluster, "TagList.Tag", "Key", "Value"))
        labels |= said(instance, _INSTANCE_PREFIX, INSTANCE, TIMES)
        members = pairs(
            cluster, "DBClusterMembers.DBClusterMember", "DBInstanceIdentifier", "IsClusterWriter"
        )
        writes = members.get(instance.text_at("DBInstanceIdentifier"))
        if writes is not None:
            labels[f"{_INSTANCE_PREFIX}is_cluster_writer"] = writes
        labels |= keyed_labels(f"{_INSTANCE_PREFIX}tag_", pairs(instance, "TagList.Tag", "Key", "Value"))
        address = instance.text_at("Endpoint.Address")
        if address and instance.text_at("Endpoint.Port"):
            labels["__address__"] = self.address(address)
        return labels


async def _clusters(client: AwsClient, form: Mapping[str, str]) -> list[Element]:
    async def page(marker: str) -> Page[Element]:
        more = {"Marker": marker} if marker else {}
        asked = {**form, "MaxRecords": _PER_PAGE, **more}
        answer = await client.query(_VERSION, "DescribeDBClusters", asked)
        items = list(answer.each("DescribeDBClustersResult.DBClusters.DBCluster"))
        return Page(items, answer.text_at("DescribeDBClustersResult.Marker"))

    return await all_pages(page)


async def _described(client: AwsClient, arn: str) -> list[Element]:
    found = await _clusters(client, {"DBClusterIdentifier": arn})
    if not found:
        raise SourceError(f"no DB cluster is found for {arn}")
    return found[-1:]
