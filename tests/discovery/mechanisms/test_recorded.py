"""Every mechanism against the stand-ins of its service: after each step the targets that a real Prometheus 3.14 had."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.support import standins
from trimon.discovery.mechanisms.kubernetes import access

# Mechanisms whose scenes are played side by side; those that want an environment of their own are played alone.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "registries": ("http",),
    "clouds": ("digitalocean", "hetzner", "linode", "vultr"),
    "consul_and_like": ("consul", "nomad", "eureka", "kuma"),
    "containers": ("docker", "dockerswarm", "marathon", "triton"),
    "aws": ("ec2.aws-sd", "ec2.changes", "ec2.failures", "ec2.options", "ec2.rich", "ec2.role", "lightsail"),
    "aws-clusters": ("ecs", "msk", "elasticache", "rds"),
    "aws-environment": ("ec2.environment",),
    "aws-profile": ("ec2.profile",),
    "signed-clouds": ("scaleway", "ionos", "ovhcloud", "stackit", "outscale", "oci"),
    "kubernetes": ("kubernetes",),
    "managers": ("puppetdb", "uyuni", "openstack"),
    "gce-changes": ("gce.changes",),
    "gce-failures": ("gce.failures",),
    "gce-rich": ("gce.rich",),
    "azure-changes": ("azure.changes",),
    "azure-failures": ("azure.failures",),
    "azure-group": ("azure.group",),
    "azure-rich": ("azure.rich",),
    "zookeeper": ("zookeeper",),
}
DIFFERENT: Final[dict[str, str]] = {
    "ecs.changes": "3.14 forgets the tasks of a cluster that cannot be described; here they stay",
    "ecs.failures": "3.14 forgets the tasks of a cluster that cannot be described; here they stay",
    "lightsail.paged": "3.14 reads the first page of the list; machines beyond it are found here",
}
"""Scenes that differ by design, with the reason; they have to differ."""


def _parts() -> list[tuple[str, list[str]]]:
    return [(group, standins.scenarios(*mechanisms)) for group, mechanisms in GROUPS.items()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of the stand-ins
@pytest.mark.parametrize(("group", "names"), _parts(), ids=list(GROUPS))
async def test_targets_are_those_that_were_recorded(
    group: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discovered labels, target labels and dropped targets are those of 3.14 after every step of every scenario."""
    standins.require()
    assert names, group
    authority = standins.new_authority(tmp_path)
    scenes = [standins.scene(name, tmp_path, authority) for name in names]
    try:
        standins.set_environment(monkeypatch, scenes)
        monkeypatch.setattr(access, "ACCOUNT", standins.account(tmp_path))
        await standins.play(scenes)
    finally:
        for each in scenes:
            standins.close(each)
    differing = {each.name: each.differences for each in scenes if each.differences}
    wrong = [line for name, lines in differing.items() if name not in DIFFERENT for line in lines[:4]]
    assert not wrong, "\n".join(line[:1500] for line in wrong[:30])
    assert {name for name in DIFFERENT if name in names} <= differing.keys()
