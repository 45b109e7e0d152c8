"""Tasks of ECS (`ecs_sd_configs`, `aws_sd_configs` with the role ecs).

    clusters ─ of each: services, tasks ─ container instances ─ machines of EC2
                                       └─ network interfaces ─ public addresses

What cannot be asked about one cluster fails the refresh, and all targets stay. Source:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/. Labels: `__meta_ecs_*`: `cluster`, `cluster_arn`, `service`,
`service_arn`, `service_status`, `task_group`, `task_arn`, `task_definition`, `region`, `availability_zone`, `subnet_id`,
`ip_address`, `public_ip`, `launch_type`, `network_mode`, `desired_status`, `last_status`, `health_status`,
`platform_family`, `platform_version`, `container_instance_arn`, `ec2_instance_id`, `ec2_instance_type`,
`ec2_instance_private_ip`, `ec2_instance_public_ip`, `tag_cluster_<key>`, `tag_service_<key>`, `tag_task_<key>`,
`tag_ec2_<key>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from trimon.config.discovery.aws import EcsSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.record import Record
from trimon.discovery.asking.xmltree import Element
from trimon.discovery.mechanisms.aws.client import AwsClient
from trimon.discovery.mechanisms.aws.ec2 import VERSION, all_machines
from trimon.discovery.mechanisms.aws.ecstasks import PREFIX, Surroundings, Task, interface_of, task_labels
from trimon.discovery.mechanisms.aws.service import AwsDiscovery
from trimon.discovery.mechanisms.clouds.paged import Labels, Page, all_pages
from trimon.discovery.plugin import Context, TargetGroup

_TARGET: Final = "AmazonEC2ContainerServiceV20141113"
_PER_PAGE: Final = 100
# As many are described in one request.
_BATCH: Final = 100
_SERVICES_BATCH: Final = 10
_EC2_BATCH: Final = 500
_TAGS: Final = {"include": ["TAGS"]}


class EcsDiscovery(AwsDiscovery):
    """Asks for the running tasks of clusters, those of the configuration or all."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, EcsSdConfig)
        super().__init__(config, context, "ecs")
        self._given = config.clusters
        self._at_once = config.request_concurrency
        # The endpoint of the configuration is that of ECS.
        self._ec2 = self.client_of("ec2")

    async def refresh(self) -> list[TargetGroup]:
        """One group of all tasks that have an address; its source is the region."""
        region = await self.keys.region()
        clusters = list(self._given) or await _names(self.client, "ListClusters", {}, "clusterArns")
        described = await self._described("DescribeClusters", clusters, "clusters", {**_TAGS}, _BATCH)
        by_name = {each.text(field): each for each in described for field in ("clusterName", "clusterArn")}
        services = await self._of_clusters("ListServices", clusters, "serviceArns")
        tasks = await self._of_clusters("ListTasks", clusters, "taskArns")
        found: list[Task] = []
        for cluster, service_arns, task_arns in zip(clusters, services, tasks, strict=True):
            if task_arns:
                record = by_name.get(cluster, Record({}))
                found += await self._tasks(cluster, record, service_arns, task_arns)
        return await self.group(region, found, lambda task: self._labels(task, region))

    def _labels(self, task: Task, region: str) -> Labels | None:
        labels = task_labels(task, region)
        return labels and {"__address__": self.address(labels[f"{PREFIX}ip_address"]), **labels}

    async def _of_clusters(self, action: str, clusters: Sequence[str], key: str) -> list[list[str]]:
        async def of_one(client: AwsClient, cluster: str) -> list[str]:
            return await _names(client, action, {"cluster": cluster}, key)

        return await self.of_each(clusters, of_one, self._at_once)

    async def _described(
        self, action: str, names: Sequence[str], key: str, asked: Mapping[str, object], batch: int
    ) -> list[Record]:
        async def of_some(client: AwsClient, some: Sequence[str]) -> list[Record]:
            answer = await client.json(f"{_TARGET}.{action}", {**asked, key: list(some)})
            return answer.records(key)

        parts = await self.of_each(list(_batches(names, batch)), of_some, self._at_once)
        return [each for part in parts for each in part]

    async def _tasks(
        self, cluster: str, record: Record, service_arns: Sequence[str], task_arns: Sequence[str]
    ) -> list[Task]:
        """The tasks of a cluster with what is around them."""
        asked = {"cluster": record.text("clusterArn") or cluster}
        services = await self._described(
            "DescribeServices", service_arns, "services", {**asked, **_TAGS}, _SERVICES_BATCH
        )
        tasks = await self._described("DescribeTasks", task_arns, "tasks", {**asked, **_TAGS}, _BATCH)
        hosts = await self.worked(len(tasks), lambda: _hosts(tasks))
        instances = await self._described(
            "DescribeContainerInstances", hosts, "containerInstances", asked, _BATCH
        )
        machine_ids = {
            each.text("containerInstanceArn"): identity
            for each in instances
            if (identity := each.text("ec2InstanceId"))
        }
        around = Surroundings(
            record,
            {each.text("serviceName"): each for each in services},
            machine_ids,
            await self._machines(list(dict.fromkeys(machine_ids.values()))),
            await self._public_addresses(tasks),
        )
        return [Task(each, around) for each in tasks]

    async def _machines(self, ids: Sequence[str]) -> dict[str, Element]:
        found = {}
        for some in _batches(ids, _EC2_BATCH):
            form = _numbered("InstanceId", some)
            for machine in await all_machines(self._ec2, form, lambda _, machine: machine):
                if machine.text_at("privateIpAddress"):
                    found[machine.text_at("instanceId")] = machine
        return found

    async def _public_addresses(self, tasks: Sequence[Record]) -> dict[str, str]:
        """The public addresses of the interfaces of tasks."""
        ids = await self.worked(len(tasks), lambda: _interface_ids(tasks))
        found = {}
        for some in _batches(ids, _EC2_BATCH):
            form = _numbered("NetworkInterfaceId", some)
            for each in await all_pages(_InterfacePages(self._ec2, form)):
                if address := each.text_at("association.publicIp"):
                    found[each.text_at("networkInterfaceId")] = address
        return found


class _InterfacePages:
    """Pages of the list of network interfaces that a form selects."""

    def __init__(self, client: AwsClient, form: Mapping[str, str]) -> None:
        self._client = client
        self._form = form

    async def __call__(self, token: str) -> Page[Element]:
        more = {"NextToken": token} if token else {}
        answer = await self._client.query(VERSION, "DescribeNetworkInterfaces", {**self._form, **more})
        return Page(list(answer.each("networkInterfaceSet.item")), answer.text_at("nextToken"))


async def _names(client: AwsClient, action: str, asked: Mapping[str, object], key: str) -> list[str]:
    """The names that a list has, of all its pages."""

    async def page(token: str) -> Page[str]:
        more = {"nextToken": token} if token else {}
        answer = await client.json(f"{_TARGET}.{action}", {**asked, "maxResults": _PER_PAGE, **more})
        return Page(answer.texts(key), answer.text("nextToken"))

    return await all_pages(page)


def _hosts(tasks: Sequence[Record]) -> list[str]:
    """The container instances that tasks run on."""
    return list(dict.fromkeys(arn for task in tasks if (arn := task.text("containerInstanceArn"))))


def _interface_ids(tasks: Sequence[Record]) -> list[str]:
    """The network interfaces of tasks that have one of their own."""
    interfaces = (interface_of(task) or {} for task in tasks)
    return [identity for each in interfaces if (identity := each.get("networkInterfaceId"))]


def _batches(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _numbered(name: str, values: Sequence[str]) -> dict[str, str]:
    return {f"{name}.{at}": value for at, value in enumerate(values, 1)}
