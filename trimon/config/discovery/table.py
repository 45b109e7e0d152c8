"""The table of discovery mechanisms: a row each, from which all the rest follows.

From a row come the field of whatever may have discovery (a scrape job, a set of Alertmanagers), the discovery that is
run, and the list on /debug/plugins. To add a mechanism, write its model in a file of this folder and what it does in
one of `trimon/discovery/mechanisms/`, and name that in its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from trimon.config.discovery.aws import (
    AwsSdConfig,
    Ec2SdConfig,
    EcsSdConfig,
    ElasticacheSdConfig,
    LightsailSdConfig,
    MskSdConfig,
    RdsSdConfig,
)
from trimon.config.discovery.clouds import (
    AzureSdConfig,
    DigitalOceanSdConfig,
    GceSdConfig,
    HetznerSdConfig,
    IonosSdConfig,
    LinodeSdConfig,
    VultrSdConfig,
)
from trimon.config.discovery.containers import (
    DockerSdConfig,
    DockerSwarmSdConfig,
    MarathonSdConfig,
    TritonSdConfig,
)
from trimon.config.discovery.dns import (
    DnsSdConfig,
)
from trimon.config.discovery.file import (
    FileSdConfig,
)
from trimon.config.discovery.http import (
    HttpSdConfig,
    PuppetDbSdConfig,
)
from trimon.config.discovery.keyedclouds import (
    OciSdConfig,
    OutscaleSdConfig,
    OvhCloudSdConfig,
    ScalewaySdConfig,
    StackitSdConfig,
)
from trimon.config.discovery.kubernetes import (
    KubernetesSdConfig,
)
from trimon.config.discovery.managed import (
    OpenStackSdConfig,
    UyuniSdConfig,
)
from trimon.config.discovery.plugin import (
    PluginSdConfig,
)
from trimon.config.discovery.registries import (
    ConsulSdConfig,
    EurekaSdConfig,
    KumaSdConfig,
    NomadSdConfig,
)
from trimon.config.discovery.source import (
    SdConfig,
)
from trimon.config.discovery.static import (
    StaticConfig,
)
from trimon.config.discovery.zookeeper import (
    NerveSdConfig,
    ServersetSdConfig,
)
from trimon.config.kinds import Listed, Of
from trimon.config.model import Model, setting

C = TypeVar("C", bound=type[Model])

_ROOM: Final = "trimon.discovery.mechanisms"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One way to find targets."""

    name: str
    field: str
    """Its field in the configuration."""
    model: type[SdConfig]
    yaml_type: str
    """What Prometheus calls the list in its errors."""
    factory: str = ""
    """`module:attribute` of what finds the targets; empty when the configuration names it."""
    own: bool = False
    """Whether Prometheus does not have it."""
    together: bool = False
    """All of one consumer are one provider."""

    def request(self, configs: Sequence[SdConfig]) -> tuple[str, Mapping[str, object]]:
        """The name and the options of the discovery that configurations ask for; secrets keep their type."""
        if self.together:
            return self.name, {"groups": [config.discovery_options() for config in configs]}
        return configs[0].named_discovery() or self.name, configs[0].discovery_options()


# In the order in which a configuration shows them: as Prometheus, by field.
MECHANISMS: Final = (
    Mechanism("aws", "aws_sd_configs", AwsSdConfig, "[]*aws.SDConfig", f"{_ROOM}.aws.roles:aws_discovery"),
    Mechanism(
        "azure",
        "azure_sd_configs",
        AzureSdConfig,
        "[]*azure.SDConfig",
        f"{_ROOM}.tokenclouds.azure:AzureDiscovery",
    ),
    Mechanism(
        "consul",
        "consul_sd_configs",
        ConsulSdConfig,
        "[]*consul.SDConfig",
        f"{_ROOM}.registries.consul:ConsulDiscovery",
    ),
    Mechanism(
        "digitalocean",
        "digitalocean_sd_configs",
        DigitalOceanSdConfig,
        "[]*digitalocean.SDConfig",
        f"{_ROOM}.clouds.digitalocean:DigitalOceanDiscovery",
    ),
    Mechanism("dns", "dns_sd_configs", DnsSdConfig, "[]*dns.SDConfig", f"{_ROOM}.dns:DnsDiscovery"),
    Mechanism(
        "docker",
        "docker_sd_configs",
        DockerSdConfig,
        "[]*moby.DockerSDConfig",
        f"{_ROOM}.containers.docker:DockerDiscovery",
    ),
    Mechanism(
        "dockerswarm",
        "dockerswarm_sd_configs",
        DockerSwarmSdConfig,
        "[]*moby.DockerSwarmSDConfig",
        f"{_ROOM}.containers.dockerswarm:DockerSwarmDiscovery",
    ),
    Mechanism("ec2", "ec2_sd_configs", Ec2SdConfig, "[]*aws.EC2SDConfig", f"{_ROOM}.aws.ec2:Ec2Discovery"),
    Mechanism("ecs", "ecs_sd_configs", EcsSdConfig, "[]*aws.ECSSDConfig", f"{_ROOM}.aws.ecs:EcsDiscovery"),
    Mechanism(
        "elasticache",
        "elasticache_sd_configs",
        ElasticacheSdConfig,
        "[]*aws.ElasticacheSDConfig",
        f"{_ROOM}.aws.elasticache:ElasticacheDiscovery",
    ),
    Mechanism(
        "eureka",
        "eureka_sd_configs",
        EurekaSdConfig,
        "[]*eureka.SDConfig",
        f"{_ROOM}.registries.eureka:EurekaDiscovery",
    ),
    Mechanism("file", "file_sd_configs", FileSdConfig, "[]*file.SDConfig", f"{_ROOM}.file:FileDiscovery"),
    Mechanism(
        "gce", "gce_sd_configs", GceSdConfig, "[]*gce.SDConfig", f"{_ROOM}.tokenclouds.gce:GceDiscovery"
    ),
    Mechanism(
        "hetzner",
        "hetzner_sd_configs",
        HetznerSdConfig,
        "[]*hetzner.SDConfig",
        f"{_ROOM}.clouds.hetzner:HetznerDiscovery",
    ),
    Mechanism("http", "http_sd_configs", HttpSdConfig, "[]*http.SDConfig", f"{_ROOM}.http:HttpDiscovery"),
    Mechanism(
        "ionos",
        "ionos_sd_configs",
        IonosSdConfig,
        "[]*ionos.SDConfig",
        f"{_ROOM}.clouds.ionos:IonosDiscovery",
    ),
    Mechanism(
        "kubernetes",
        "kubernetes_sd_configs",
        KubernetesSdConfig,
        "[]*kubernetes.SDConfig",
        f"{_ROOM}.kubernetes.discovery:KubernetesDiscovery",
    ),
    Mechanism(
        "kuma",
        "kuma_sd_configs",
        KumaSdConfig,
        "[]*xds.KumaSDConfig",
        f"{_ROOM}.registries.kuma:KumaDiscovery",
    ),
    Mechanism(
        "lightsail",
        "lightsail_sd_configs",
        LightsailSdConfig,
        "[]*aws.LightsailSDConfig",
        f"{_ROOM}.aws.lightsail:LightsailDiscovery",
    ),
    Mechanism(
        "linode",
        "linode_sd_configs",
        LinodeSdConfig,
        "[]*linode.SDConfig",
        f"{_ROOM}.clouds.linode:LinodeDiscovery",
    ),
    Mechanism(
        "marathon",
        "marathon_sd_configs",
        MarathonSdConfig,
        "[]*marathon.SDConfig",
        f"{_ROOM}.containers.marathon:MarathonDiscovery",
    ),
    Mechanism("msk", "msk_sd_configs", MskSdConfig, "[]*aws.MSKSDConfig", f"{_ROOM}.aws.msk:MskDiscovery"),
    Mechanism(
        "nerve",
        "nerve_sd_configs",
        NerveSdConfig,
        "[]*zookeeper.NerveSDConfig",
        f"{_ROOM}.registries.zookeeper:NerveDiscovery",
    ),
    Mechanism(
        "nomad",
        "nomad_sd_configs",
        NomadSdConfig,
        "[]*nomad.SDConfig",
        f"{_ROOM}.registries.nomad:NomadDiscovery",
    ),
    Mechanism("oci", "oci_sd_configs", OciSdConfig, "[]*oci.SDConfig", f"{_ROOM}.clouds.oci:OciDiscovery"),
    Mechanism(
        "openstack",
        "openstack_sd_configs",
        OpenStackSdConfig,
        "[]*openstack.SDConfig",
        f"{_ROOM}.tokenclouds.openstack:OpenStackDiscovery",
    ),
    Mechanism(
        "outscale",
        "outscale_sd_configs",
        OutscaleSdConfig,
        "[]*outscale.SDConfig",
        f"{_ROOM}.clouds.outscale:OutscaleDiscovery",
    ),
    Mechanism(
        "ovhcloud",
        "ovhcloud_sd_configs",
        OvhCloudSdConfig,
        "[]*ovhcloud.SDConfig",
        f"{_ROOM}.clouds.ovhcloud:OvhCloudDiscovery",
    ),
    Mechanism(
        "puppetdb",
        "puppetdb_sd_configs",
        PuppetDbSdConfig,
        "[]*puppetdb.SDConfig",
        f"{_ROOM}.puppetdb:PuppetDbDiscovery",
    ),
    Mechanism("rds", "rds_sd_configs", RdsSdConfig, "[]*aws.RDSSDConfig", f"{_ROOM}.aws.rds:RdsDiscovery"),
    Mechanism(
        "scaleway",
        "scaleway_sd_configs",
        ScalewaySdConfig,
        "[]*scaleway.SDConfig",
        f"{_ROOM}.clouds.scaleway:ScalewayDiscovery",
    ),
    Mechanism(
        "serverset",
        "serverset_sd_configs",
        ServersetSdConfig,
        "[]*zookeeper.ServersetSDConfig",
        f"{_ROOM}.registries.zookeeper:ServersetDiscovery",
    ),
    Mechanism(
        "stackit",
        "stackit_sd_configs",
        StackitSdConfig,
        "[]*stackit.SDConfig",
        f"{_ROOM}.clouds.stackit:StackitDiscovery",
    ),
    Mechanism(
        "static",
        "static_configs",
        StaticConfig,
        "[]*targetgroup.Group",
        f"{_ROOM}.static:StaticDiscovery",
        together=True,
    ),
    Mechanism("plugin", "trimon_sd_configs", PluginSdConfig, "[]*trimon.PluginSDConfig", "", own=True),
    Mechanism(
        "triton",
        "triton_sd_configs",
        TritonSdConfig,
        "[]*triton.SDConfig",
        f"{_ROOM}.containers.triton:TritonDiscovery",
    ),
    Mechanism(
        "uyuni", "uyuni_sd_configs", UyuniSdConfig, "[]*uyuni.SDConfig", f"{_ROOM}.uyuni:UyuniDiscovery"
    ),
    Mechanism(
        "vultr",
        "vultr_sd_configs",
        VultrSdConfig,
        "[]*vultr.SDConfig",
        f"{_ROOM}.clouds.vultr:VultrDiscovery",
    ),
)
_BY_MODEL: Final = {row.model: row for row in MECHANISMS}


def mechanism_of(config: SdConfig) -> Mechanism:
    """The row of a configuration."""
    return _BY_MODEL[type(config)]


def with_discovery(cls: C) -> C:
    """Give a model the fields of all mechanisms, after its own; stands below `dataclass`."""
    for row in MECHANISMS:
        kind = Listed(Of(row.model), row.yaml_type, f"empty or null section in {row.field}")
        cls.__annotations__[row.field] = tuple[row.model, ...]  # type: ignore[name-defined]  # known at run time
        setattr(cls, row.field, setting(kind, (), own=row.own))
    return cls


def sources_of(model: Model) -> tuple[SdConfig, ...]:
    """All sources of a model that has discovery, static ones first."""
    rows = sorted(MECHANISMS, key=lambda row: not row.together)
    return tuple(config for row in rows for config in getattr(model, row.field))


def no_sources() -> dict[str, Any]:
    """The fields of all mechanisms, empty: for `dataclasses.replace`."""
    return {row.field: () for row in MECHANISMS}
