"""The table of discovery mechanisms: a row each, from which all the rest follows.

From a row come the field of whatever may have discovery (a scrape job, a set of Alertmanagers), the discovery that is
run, and the list on /debug/plugins. To add a mechanism, write its model in a file of this folder and what it does in
one of `trimon/discovery/mechanisms/`, and name that in its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, TypeVar

from trimon.config.discovery.source import SdConfig
from trimon.config.kinds import Listed
from trimon.config.model import Model, Source, setting, show_model, zero_model
from trimon.config.yaml.tree import Node
from trimon.records import dataclass

C = TypeVar("C", bound=type[Model])

_ROOM: Final = "trimon.discovery.mechanisms"
_MODELS: Final = "trimon.config.discovery"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One way to find targets."""

    name: str
    field: str
    """Its field in the configuration."""
    reference: str
    """`module:class` of its model, in this folder: few configurations need more than two or three."""
    yaml_type: str
    """What Prometheus calls the list in its errors."""
    factory: str = ""
    """`module:attribute` of what finds the targets; empty when the configuration names it."""
    own: bool = False
    """Whether Prometheus does not have it."""
    together: bool = False
    """All of one consumer are one provider."""

    @property
    def model(self) -> type[SdConfig]:
        """The model of its configuration, imported when it is asked for first."""
        module, _, name = self.reference.partition(":")
        model: type[SdConfig] = getattr(import_module(f"{_MODELS}.{module}"), name)
        return model

    def request(self, configs: Sequence[SdConfig]) -> tuple[str, Mapping[str, object]]:
        """The name and the options of the discovery that configurations ask for; secrets keep their type."""
        if self.together:
            return self.name, {"groups": [config.discovery_options() for config in configs]}
        return configs[0].named_discovery() or self.name, configs[0].discovery_options()


# In the order in which a configuration shows them: as Prometheus, by field.
MECHANISMS: Final = (
    Mechanism(
        "aws", "aws_sd_configs", "aws:AwsSdConfig", "[]*aws.SDConfig", f"{_ROOM}.aws.roles:aws_discovery"
    ),
    Mechanism(
        "azure",
        "azure_sd_configs",
        "clouds:AzureSdConfig",
        "[]*azure.SDConfig",
        f"{_ROOM}.tokenclouds.azure:AzureDiscovery",
    ),
    Mechanism(
        "consul",
        "consul_sd_configs",
        "registries:ConsulSdConfig",
        "[]*consul.SDConfig",
        f"{_ROOM}.registries.consul:ConsulDiscovery",
    ),
    Mechanism(
        "digitalocean",
        "digitalocean_sd_configs",
        "clouds:DigitalOceanSdConfig",
        "[]*digitalocean.SDConfig",
        f"{_ROOM}.clouds.digitalocean:DigitalOceanDiscovery",
    ),
    Mechanism("dns", "dns_sd_configs", "dns:DnsSdConfig", "[]*dns.SDConfig", f"{_ROOM}.dns:DnsDiscovery"),
    Mechanism(
        "docker",
        "docker_sd_configs",
        "containers:DockerSdConfig",
        "[]*moby.DockerSDConfig",
        f"{_ROOM}.containers.docker:DockerDiscovery",
    ),
    Mechanism(
        "dockerswarm",
        "dockerswarm_sd_configs",
        "containers:DockerSwarmSdConfig",
        "[]*moby.DockerSwarmSDConfig",
        f"{_ROOM}.containers.dockerswarm:DockerSwarmDiscovery",
    ),
    Mechanism(
        "ec2", "ec2_sd_configs", "aws:Ec2SdConfig", "[]*aws.EC2SDConfig", f"{_ROOM}.aws.ec2:Ec2Discovery"
    ),
    Mechanism(
        "ecs", "ecs_sd_configs", "aws:EcsSdConfig", "[]*aws.ECSSDConfig", f"{_ROOM}.aws.ecs:EcsDiscovery"
    ),
    Mechanism(
        "elasticache",
        "elasticache_sd_configs",
        "aws:ElasticacheSdConfig",
        "[]*aws.ElasticacheSDConfig",
        f"{_ROOM}.aws.elasticache:ElasticacheDiscovery",
    ),
    Mechanism(
        "eureka",
        "eureka_sd_configs",
        "registries:EurekaSdConfig",
        "[]*eureka.SDConfig",
        f"{_ROOM}.registries.eureka:EurekaDiscovery",
    ),
    Mechanism(
        "file", "file_sd_configs", "file:FileSdConfig", "[]*file.SDConfig", f"{_ROOM}.file:FileDiscovery"
    ),
    Mechanism(
        "gce",
        "gce_sd_configs",
        "clouds:GceSdConfig",
        "[]*gce.SDConfig",
        f"{_ROOM}.tokenclouds.gce:GceDiscovery",
    ),
    Mechanism(
        "hetzner",
        "hetzner_sd_configs",
        "clouds:HetznerSdConfig",
        "[]*hetzner.SDConfig",
        f"{_ROOM}.clouds.hetzner:HetznerDiscovery",
    ),
    Mechanism(
        "http", "http_sd_configs", "http:HttpSdConfig", "[]*http.SDConfig", f"{_ROOM}.http:HttpDiscovery"
    ),
    Mechanism(
        "ionos",
        "ionos_sd_configs",
        "clouds:IonosSdConfig",
        "[]*ionos.SDConfig",
        f"{_ROOM}.clouds.ionos:IonosDiscovery",
    ),
    Mechanism(
        "kubernetes",
        "kubernetes_sd_configs",
        "kubernetes:KubernetesSdConfig",
        "[]*kubernetes.SDConfig",
        f"{_ROOM}.kubernetes.discovery:KubernetesDiscovery",
    ),
    Mechanism(
        "kuma",
        "kuma_sd_configs",
        "registries:KumaSdConfig",
        "[]*xds.KumaSDConfig",
        f"{_ROOM}.registries.kuma:KumaDiscovery",
    ),
    Mechanism(
        "lightsail",
        "lightsail_sd_configs",
        "aws:LightsailSdConfig",
        "[]*aws.LightsailSDConfig",
        f"{_ROOM}.aws.lightsail:LightsailDiscovery",
    ),
    Mechanism(
        "linode",
        "linode_sd_configs",
        "clouds:LinodeSdConfig",
        "[]*linode.SDConfig",
        f"{_ROOM}.clouds.linode:LinodeDiscovery",
    ),
    Mechanism(
        "marathon",
        "marathon_sd_configs",
        "containers:MarathonSdConfig",
        "[]*marathon.SDConfig",
        f"{_ROOM}.containers.marathon:MarathonDiscovery",
    ),
    Mechanism(
        "msk", "msk_sd_configs", "aws:MskSdConfig", "[]*aws.MSKSDConfig", f"{_ROOM}.aws.msk:MskDiscovery"
    ),
    Mechanism(
        "nerve",
        "nerve_sd_configs",
        "zookeeper:NerveSdConfig",
        "[]*zookeeper.NerveSDConfig",
        f"{_ROOM}.registries.zookeeper:NerveDiscovery",
    ),
    Mechanism(
        "nomad",
        "nomad_sd_configs",
        "registries:NomadSdConfig",
        "[]*nomad.SDConfig",
        f"{_ROOM}.registries.nomad:NomadDiscovery",
    ),
    Mechanism(
        "oci",
        "oci_sd_configs",
        "keyedclouds:OciSdConfig",
        "[]*oci.SDConfig",
        f"{_ROOM}.clouds.oci:OciDiscovery",
    ),
    Mechanism(
        "openstack",
        "openstack_sd_configs",
        "managed:OpenStackSdConfig",
        "[]*openstack.SDConfig",
        f"{_ROOM}.tokenclouds.openstack:OpenStackDiscovery",
    ),
    Mechanism(
        "outscale",
        "outscale_sd_configs",
        "keyedclouds:OutscaleSdConfig",
        "[]*outscale.SDConfig",
        f"{_ROOM}.clouds.outscale:OutscaleDiscovery",
    ),
    Mechanism(
        "ovhcloud",
        "ovhcloud_sd_configs",
        "keyedclouds:OvhCloudSdConfig",
        "[]*ovhcloud.SDConfig",
        f"{_ROOM}.clouds.ovhcloud:OvhCloudDiscovery",
    ),
    Mechanism(
        "puppetdb",
        "puppetdb_sd_configs",
        "http:PuppetDbSdConfig",
        "[]*puppetdb.SDConfig",
        f"{_ROOM}.puppetdb:PuppetDbDiscovery",
    ),
    Mechanism(
        "rds", "rds_sd_configs", "aws:RdsSdConfig", "[]*aws.RDSSDConfig", f"{_ROOM}.aws.rds:RdsDiscovery"
    ),
    Mechanism(
        "scaleway",
        "scaleway_sd_configs",
        "keyedclouds:ScalewaySdConfig",
        "[]*scaleway.SDConfig",
        f"{_ROOM}.clouds.scaleway:ScalewayDiscovery",
    ),
    Mechanism(
        "serverset",
        "serverset_sd_configs",
        "zookeeper:ServersetSdConfig",
        "[]*zookeeper.ServersetSDConfig",
        f"{_ROOM}.registries.zookeeper:ServersetDiscovery",
    ),
    Mechanism(
        "stackit",
        "stackit_sd_configs",
        "keyedclouds:StackitSdConfig",
        "[]*stackit.SDConfig",
        f"{_ROOM}.clouds.stackit:StackitDiscovery",
    ),
    Mechanism(
        "static",
        "static_configs",
        "static:StaticConfig",
        "[]*targetgroup.Group",
        f"{_ROOM}.static:StaticDiscovery",
        together=True,
    ),
    Mechanism(
        "plugin", "trimon_sd_configs", "plugin:PluginSdConfig", "[]*trimon.PluginSDConfig", "", own=True
    ),
    Mechanism(
        "triton",
        "triton_sd_configs",
        "containers:TritonSdConfig",
        "[]*triton.SDConfig",
        f"{_ROOM}.containers.triton:TritonDiscovery",
    ),
    Mechanism(
        "uyuni",
        "uyuni_sd_configs",
        "managed:UyuniSdConfig",
        "[]*uyuni.SDConfig",
        f"{_ROOM}.uyuni:UyuniDiscovery",
    ),
    Mechanism(
        "vultr",
        "vultr_sd_configs",
        "clouds:VultrSdConfig",
        "[]*vultr.SDConfig",
        f"{_ROOM}.clouds.vultr:VultrDiscovery",
    ),
)
_BY_REFERENCE: Final = {row.reference: row for row in MECHANISMS}


@dataclass(frozen=True, slots=True)
class _Source:
    """The kind of a source of one mechanism."""

    mechanism: Mechanism

    def read(self, node: Node, source: Source) -> Model:
        """The model."""
        return self.mechanism.model.read(node, source)

    def zero(self) -> Model:
        """The model of zero values."""
        return zero_model(self.mechanism.model)

    def show(self, value: Model) -> object:
        """The model as plain data."""
        return show_model(value)


def mechanism_of(config: SdConfig) -> Mechanism:
    """The row of a configuration."""
    model = type(config)
    return _BY_REFERENCE[f"{model.__module__.removeprefix(_MODELS + '.')}:{model.__name__}"]


def with_discovery(cls: C) -> C:
    """Give a model the fields of all mechanisms, after its own; stands below `dataclass`."""
    for row in MECHANISMS:
        kind = Listed(_Source(row), row.yaml_type, f"empty or null section in {row.field}")
        cls.__annotations__[row.field] = tuple[SdConfig, ...]
        setattr(cls, row.field, setting(kind, (), own=row.own))
    return cls


def sources_of(model: Model) -> tuple[SdConfig, ...]:
    """All sources of a model that has discovery, static ones first."""
    rows = sorted(MECHANISMS, key=lambda row: not row.together)
    return tuple(config for row in rows for config in getattr(model, row.field))


def no_sources() -> dict[str, Any]:
    """The fields of all mechanisms, empty: for `dataclasses.replace`."""
    return {row.field: () for row in MECHANISMS}
