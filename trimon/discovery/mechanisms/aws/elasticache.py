"""Serverless caches and nodes of cache clusters (`elasticache_sd_configs`, `aws_sd_configs` with the role elasticache).

Source: https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/. Labels: `__meta_elasticache_deployment_option`
(`serverless` or `node`); `__meta_elasticache_serverless_cache_*` and `__meta_elasticache_cache_cluster_*` of the tables
below, `tag_<key>` of both. A label is there where the API says its field; the address has the port of the service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from trimon.config.discovery.aws import ElasticacheSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import host_port, keyed_labels
from trimon.discovery.asking.xmltree import Element
from trimon.discovery.mechanisms.aws.client import AwsClient
from trimon.discovery.mechanisms.aws.elasticachefields import CLUSTER, LOG_DELIVERY, NODE, SERVERLESS, TIMES
from trimon.discovery.mechanisms.aws.fields import pairs, said
from trimon.discovery.mechanisms.aws.service import AwsDiscovery
from trimon.discovery.mechanisms.clouds.paged import Labels, Page, all_pages
from trimon.discovery.plugin import Context, TargetGroup

_VERSION: Final = "2015-02-02"
_CACHES_PER_PAGE: Final = "50"
_CLUSTERS_PER_PAGE: Final = "100"
_PREFIX: Final = "__meta_elasticache_"
_SERVERLESS: Final = f"{_PREFIX}serverless_cache_"
_CLUSTER: Final = f"{_PREFIX}cache_cluster_"


# What is given as an ARN has these parts at least, of which the sixth says what it is and the seventh its name.
_ARN_PARTS: Final = 7
_Ask = Callable[[AwsClient, Mapping[str, str]], Awaitable[list[Element]]]


class ElasticacheDiscovery(AwsDiscovery):
    """Asks for caches of both kinds and for the tags of each.

    Of a kind of which the configuration names none all are asked for.
    """

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, ElasticacheSdConfig)
        super().__init__(config, context, "elasticache")
        self._at_once = config.request_concurrency
        self._serverless = _names(config.clusters, "serverlesscache")
        self._clusters = _names(config.clusters, "replicationgroup")
        for arn in config.clusters:
            if arn and arn.count(":") < _ARN_PARTS - 1:
                context.log.warning("Skipping invalid ElastiCache ARN", arn=arn)

    async def refresh(self) -> list[TargetGroup]:
        """One group of all caches and nodes; its source is the region."""
        region = await self.keys.region()
        caches = await self._of(self._serverless, "ServerlessCacheName", _serverless_caches)
        clusters = await self._of(self._clusters, "CacheClusterId", _cache_clusters)
        arns = list(dict.fromkeys(arn for each in (*caches, *clusters) if (arn := each.text_at("ARN"))))
        tags = dict(zip(arns, await self.of_each(arns, _tags, self._at_once), strict=True))
        nodes = [(each, node) for each in clusters for node in each.each("CacheNodes.CacheNode")]
        items = [*((cache, None) for cache in caches), *nodes]
        return await self.group(region, items, lambda pair: _labels(*pair, tags))

    async def _of(self, names: Sequence[str], field: str, ask: _Ask) -> list[Element]:
        """Those that are named, or all."""
        if not names:
            return await ask(self.client, {})

        async def of_one(client: AwsClient, name: str) -> list[Element]:
            return await ask(client, {field: name})

        return [each for some in await self.of_each(names, of_one, self._at_once) for each in some]


def _names(arns: Sequence[str], kind: str) -> list[str]:
    """The names of what is of a kind among ARNs."""
    parts = (arn.split(":") for arn in arns)
    return [each[6] for each in parts if len(each) >= _ARN_PARTS and each[5] == kind]


async def _serverless_caches(client: AwsClient, form: Mapping[str, str]) -> list[Element]:
    async def page(token: str) -> Page[Element]:
        asked = {**form, "MaxResults": _CACHES_PER_PAGE, **({"NextToken": token} if token else {})}
        answer = await client.query(_VERSION, "DescribeServerlessCaches", asked)
        items = list(answer.each("DescribeServerlessCachesResult.ServerlessCaches.member"))
        return Page(items, answer.text_at("DescribeServerlessCachesResult.NextToken"))

    return await all_pages(page)


async def _cache_clusters(client: AwsClient, form: Mapping[str, str]) -> list[Element]:
    # All clusters, also those outside of replication groups.
    shown = {"ShowCacheClustersNotInReplicationGroups": "false", "ShowCacheNodeInfo": "true"}

    async def page(marker: str) -> Page[Element]:
        asked = {**form, **shown, "MaxRecords": _CLUSTERS_PER_PAGE}
        answer = await client.query(
            _VERSION, "DescribeCacheClusters", {**asked, **({"Marker": marker} if marker else {})}
        )
        items = list(answer.each("DescribeCacheClustersResult.CacheClusters.CacheCluster"))
        return Page(items, answer.text_at("DescribeCacheClustersResult.Marker"))

    return await all_pages(page)


async def _tags(client: AwsClient, arn: str) -> dict[str, str]:
    answer = await client.query(_VERSION, "ListTagsForResource", {"ResourceName": arn})
    return pairs(answer, "ListTagsForResourceResult.TagList.Tag", "Key", "Value")


def _labels(of: Element, node: Element | None, tags: Mapping[str, dict[str, str]]) -> Labels:
    own_tags = tags.get(of.text_at("ARN"), {})
    if node is None:
        labels = _serverless_labels(of)
        return {**labels, **keyed_labels(f"{_SERVERLESS}tag_", own_tags), **_address(of)}
    labels = _cluster_labels(of) | said(node, _CLUSTER, NODE, TIMES)
    return {**labels, **keyed_labels(f"{_CLUSTER}tag_", own_tags), **_address(node)}


def _address(of: Element) -> Labels:
    """The address, where there is one by now."""
    host, port = of.text_at("Endpoint.Address"), of.text_at("Endpoint.Port")
    return {"__address__": host_port(host, port)} if host and port else {}


def _serverless_labels(cache: Element) -> Labels:
    labels = {f"{_PREFIX}deployment_option": "serverless", **said(cache, _SERVERLESS, SERVERLESS, TIMES)}
    for name, path in (
        ("security_group_id", "SecurityGroupIds.SecurityGroupId"),
        ("subnet_id", "SubnetIds.SubnetId"),
    ):
        labels |= {f"{_SERVERLESS}{name}_{at}": each.text for at, each in enumerate(cache.each(path))}
    return labels


def _cluster_labels(cluster: Element) -> Labels:
    labels = {f"{_PREFIX}deployment_option": "node", **said(cluster, _CLUSTER, CLUSTER, TIMES)}
    deliveries = cluster.each("LogDeliveryConfigurations.LogDeliveryConfiguration")
    for at, each in enumerate(deliveries):
        own = said(each, f"{_CLUSTER}log_delivery_configuration_", LOG_DELIVERY)
        labels |= {f"{name}_{at}": value for name, value in own.items()}
    for at, each in enumerate(cluster.each("SecurityGroups.member")):
        labels[f"{_CLUSTER}security_group_membership_id_{at}"] = each.text_at("SecurityGroupId")
        labels[f"{_CLUSTER}security_group_membership_status_{at}"] = each.text_at("Status")
    removed = [each.text for each in cluster.each("PendingModifiedValues.CacheNodeIdsToRemove.CacheNodeId")]
    if removed:
        labels[f"{_CLUSTER}pending_modified_values_cache_node_ids_to_remove"] = ",".join(removed)
    return labels
