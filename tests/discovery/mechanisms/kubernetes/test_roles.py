"""What each role makes of objects, and of changes beside them; and the jobs that clusters are scraped with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import trio
from trio.testing import MockClock

from tests.discovery.mechanisms.kubernetes.test_discovery import discovery, observe
from tests.support.fake_cluster import FakeCluster, node, pod
from trimon.config import load_text
from trimon.discovery.doubles import Found, context_of_doubles
from trimon.discovery.mechanisms.kubernetes.discovery import KubernetesDiscovery
from trimon.discovery.mechanisms.kubernetes.ingress import covers
from trimon.scrape.target import Target, build_target
from trimon.server.jobs import pool_options

META = "__meta_kubernetes_"


def shown(found: Found) -> list[dict[str, str]]:
    """All targets, labels without their common beginning, by address."""
    return sorted(
        ({name.removeprefix(META): value for name, value in labels.items()} for labels in found.targets),
        key=lambda labels: json.dumps(labels, sort_keys=True),
    )


def targets(cluster: FakeCluster, **fields: Any) -> list[dict[str, str]]:
    """What a configuration finds in a cluster that rests."""

    async def look(found: Found) -> None:
        await trio.sleep(1)

    return shown(observe(discovery(cluster, **fields), look))


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.1",
            "ports": [{"name": "web", "port": 80}],
            **spec,
        },
    }


def reference(name: str) -> dict[str, str]:
    return {"kind": "Pod", "namespace": "shop", "name": name}


def endpoints(name: str, *pods: tuple[str, str], port: int = 80) -> dict[str, Any]:
    addresses = [{"ip": ip, "nodeName": "n1", "targetRef": reference(pod)} for pod, ip in pods]
    subset = {"addresses": addresses, "ports": [{"name": "web", "port": port, "protocol": "TCP"}]}
    return {"metadata": {"name": name, "namespace": "shop"}, "subsets": [subset]}


def slice_of(name: str, pod: str, ip: str, kind: str = "IPv4") -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"{name}-1",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": kind,
        "ports": [{"name": "web", "port": 80, "appProtocol": "http"}, {"name": "none"}],
        "endpoints": [
            {
                "addresses": [ip],
                "conditions": {"ready": True, "serving": False},
                "targetRef": reference(pod),
                "deprecatedTopology": {"a/b": "c"},
            }
        ],
    }


def test_node() -> None:
    """The first of the kinds of addresses, the port of the kubelet; one that loses its address keeps its target."""
    cluster = FakeCluster()
    found = node("n1", zone="z")
    found["status"] |= {
        "addresses": [
            {"type": "Hostname", "address": "h"},
            {"type": "InternalIP", "address": "fd00::1"},
            {"type": "InternalIP", "address": "192.0.2.2"},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    cluster.put("nodes", found)

    async def look(seen: Found) -> None:
        expected = {
            "__address__": "[fd00::1]:10250",
            "instance": "n1",
            "node_name": "n1",
            "node_label_zone": "z",
            "node_labelpresent_zone": "true",
            "node_condition_ready": "true",
            "node_address_Hostname": "h",
            "node_address_InternalIP": "fd00::1",
        }
        assert shown(seen) == [expected]
        cluster.put("nodes", {"metadata": {"name": "n1"}, "status": {}})
        await trio.sleep(1)
        assert shown(seen) == [expected]
        cluster.delete("nodes", "/n1")
        await trio.sleep(1)
        assert shown(seen) == []

    observe(discovery(cluster, role="node"), look)


def test_service() -> None:
    """Its name in the cluster; what its type says; a namespace whose labels change shows."""
    cluster = FakeCluster()
    cluster.put("services", service("a"))
    cluster.put("services", service("b", type="ExternalName", externalName="b.example"))
    balanced = service("c", type="LoadBalancer", loadBalancerIP="192.0.2.1")
    balanced["status"] = {
        "loadBalancer": {"ingress": [{"ip": "192.0.2.8"}, {"hostname": "x"}, {"ip": "192.0.2.9"}]}
    }
    cluster.put("services", balanced)
    cluster.put("namespaces", {"metadata": {"name": "shop", "labels": {"team": "x"}}})

    async def look(found: Found) -> None:
        one, two, three = shown(found)
        assert one["__address__"] == "a.shop.svc:80"
        assert (one["service_cluster_ip"], one["service_port_name"]) == ("10.96.0.1", "web")
        assert two["service_external_name"] == "b.example"
        assert "service_cluster_ip" not in two
        assert three["service_loadbalancer_ip"] == "192.0.2.8,192.0.2.9"
        assert {each["namespace_label_team"] for each in (one, two, three)} == {"x"}
        cluster.put("namespaces", {"metadata": {"name": "shop", "labels": {"team": "y"}}})
        await trio.sleep(1)
        assert {each["namespace_label_team"] for each in shown(found)} == {"y"}

    observe(discovery(cluster, role="service", attach_metadata={"namespace": True}), look)


def test_pod() -> None:
    """Ports, containers without ports, init containers; what controls the controller; a node that is not there."""
    cluster = FakeCluster()
    found = pod("p", "10.0.0.1")
    owner = {"controller": True, "kind": "ReplicaSet", "name": "web-1"}
    found["metadata"]["ownerReferences"] = [owner]
    found["spec"]["containers"].append({"name": "bare", "image": "i"})
    found["spec"]["initContainers"] = [{"name": "first", "image": "i"}]
    found["status"]["containerStatuses"] = [{"name": "c", "containerID": "x://1"}]
    cluster.put("pods", found)
    cluster.put("pods", pod("waits", ""))
    cluster.put("pods", pod("lost", "10.0.0.9", node="nowhere"))
    cluster.put("nodes", node("n1"))
    deployment = {"controller": True, "kind": "Deployment", "name": "web"}
    cluster.put(
        "replicasets",
        {"metadata": {"name": "web-1", "namespace": "shop", "ownerReferences": [deployment]}},
    )

    async def look(seen: Found) -> None:
        bare, first, full = shown(seen)
        assert full["__address__"] == "10.0.0.1:80"
        assert {bare["__address__"], first["__address__"]} == {"10.0.0.1"}
        assert first["pod_container_init"] == "true"
        assert full["pod_container_id"] == "x://1"
        assert (full["pod_controller_name"], full["pod_deployment_name"]) == ("web-1", "web")
        assert (full["node_name"], full["namespace"]) == ("n1", "shop")
        cluster.put("nodes", node("nowhere"))
        cluster.delete("replicasets", "shop/web-1")
        await trio.sleep(1)
        assert len(shown(seen)) == 4
        assert not any("pod_deployment_name" in each for each in shown(seen))
        cluster.delete("nodes", "/n1")
        await trio.sleep(1)
        assert [each["pod_name"] for each in shown(seen)] == ["lost"]

    observe(discovery(cluster, attach_metadata={"node": True, "deployment": True}), look)


def test_jobs_of_pods() -> None:
    """A pod of a job knows it, and the cron job behind it."""
    cluster = FakeCluster()
    found = pod("p", "10.0.0.1")
    found["metadata"]["ownerReferences"] = [{"controller": True, "kind": "Job", "name": "j"}]
    cluster.put("pods", found)
    cron = {"controller": True, "kind": "CronJob", "name": "nightly"}
    cluster.put("jobs", {"metadata": {"name": "j", "namespace": "shop", "ownerReferences": [cron]}})
    (only,) = targets(cluster, attach_metadata={"job": True, "cronjob": True})
    assert (only["pod_job_name"], only["pod_cronjob_name"]) == ("j", "nightly")
    (only,) = targets(cluster, attach_metadata={"cronjob": True})
    assert "pod_job_name" not in only


def test_endpoints() -> None:
    """Service and pod of each address, further ports of the pods; a pod shows its new phase at once, and labels later."""
    cluster = FakeCluster()
    behind = pod("p", "10.0.0.1", l="1")
    behind["spec"]["containers"].append(
        {"name": "side", "image": "i", "ports": [{"containerPort": 9999, "protocol": "UDP"}]}
    )
    cluster.put("pods", behind)
    cluster.put("services", service("web"))
    cluster.put("endpoints", endpoints("web", ("p", "10.0.0.1"), ("unknown", "10.0.0.2")))

    async def look(found: Found) -> None:
        one, two, three = shown(found)
        assert [each["__address__"] for each in (one, two, three)] == [
            "10.0.0.1:80",
            "10.0.0.1:9999",
            "10.0.0.2:80",
        ]
        assert (one["pod_container_name"], one["endpoint_ready"]) == ("c", "true")
        assert "endpoint_ready" not in two
        assert "pod_name" not in three
        assert {each["service_label_app"] for each in (one, two, three)} == {"web"}
        other = json.loads(json.dumps(behind))
        other["metadata"]["labels"]["l"] = "2"
        cluster.put("pods", other)
        await trio.sleep(1)
        assert shown(found)[0]["pod_label_l"] == "1"
        other["status"]["phase"] = "Failed"
        cluster.put("pods", other)
        await trio.sleep(1)
        assert (shown(found)[0]["pod_label_l"], shown(found)[0]["pod_phase"]) == ("2", "Failed")
        cluster.delete("services", "shop/web")
        await trio.sleep(1)
        assert not any("service_name" in each for each in shown(found))

    observe(discovery(cluster, role="endpoints"), look)


def test_endpointslice() -> None:
    """Conditions, topology, a port without a number; slices of a second address family are left out."""
    cluster = FakeCluster()
    cluster.put("pods", pod("p", "10.0.0.1"))
    cluster.put("services", service("web"))
    cluster.put("endpointslices", slice_of("web", "p", "10.0.0.1"))

    async def look(found: Found) -> None:
        bare, full = shown(found)
        assert (bare["__address__"], full["__address__"]) == ("10.0.0.1", "10.0.0.1:80")
        assert full["endpointslice_port_app_protocol"] == "http"
        assert full["endpointslice_endpoint_conditions_ready"] == "true"
        assert full["endpointslice_endpoint_conditions_serving"] == "false"
        assert "endpointslice_endpoint_conditions_terminating" not in full
        assert full["endpointslice_endpoint_topology_a_b"] == "c"
        assert (full["service_name"], full["pod_name"], full["pod_container_name"]) == ("web", "p", "c")
        cluster.put("services", service("web", ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv6", "IPv4"]))
        await trio.sleep(1)
        assert shown(found) == []

    observe(discovery(cluster, role="endpointslice"), look)


def test_ingress() -> None:
    """Paths of rules; https where a host of TLS covers it."""
    cluster = FakeCluster()
    http = {"paths": [{"path": "/x"}, {}]}
    cluster.put(
        "ingresses",
        {
            "metadata": {"name": "i", "namespace": "shop"},
            "spec": {
                "ingressClassName": "nginx",
                "tls": [{"hosts": ["*.a.example"]}, {}],
                "rules": [{"host": "b.a.example", "http": http}, {"host": "c.example"}],
            },
        },
    )
    found = targets(cluster, role="ingress")
    assert {(each["ingress_scheme"], each["ingress_host"], each["ingress_path"]) for each in found} == {
        ("https", "b.a.example", "/x"),
        ("https", "b.a.example", "/"),
        ("http", "c.example", "/"),
    }
    assert {each["ingress_class_name"] for each in found} == {"nginx"}


def test_stars_of_hosts() -> None:
    """A star is one label."""
    assert covers("*.a", "x.a")
    assert covers("a", "a")
    assert not covers("*.a", "x.y.a")
    assert not covers("*.a", "a")
    assert not covers("a", "b")


def test_selectors_go_to_their_own_resource() -> None:
    """Of the role's object, and of what is beside it; namespaces are in the path."""
    cluster = FakeCluster()
    selectors = [
        {"role": "pod", "label": "app in (a,b)", "field": "status.phase=Running"},
        {"role": "service", "label": "x"},
    ]
    targets(cluster, role="endpoints", namespaces={"names": ["a b"]}, selectors=selectors)
    asked = sorted(url.partition("?")[0].removeprefix("http://api") for url in cluster.requests)
    base = "/api/v1/namespaces/a%20b"
    assert asked == [f"{base}/endpoints", f"{base}/pods", f"{base}/services"]
    pods = next(url for url in cluster.requests if "/pods" in url)
    assert "fieldSelector=status.phase%3DRunning&labelSelector=app+in+%28a%2Cb%29&" in pods


# ---- jobs as people have them


def scraped(cluster: FakeCluster, job: str) -> set[tuple[str, str]]:
    """Scrape URLs of a job, with the label that tells what it is."""
    config = load_text(job, "p.yml").scrape_configs[0]
    (sd,) = config.kubernetes_sd_configs
    found = Found()
    made = KubernetesDiscovery({"config": sd}, replace(context_of_doubles(), fetch=cluster))

    async def main() -> None:
        with trio.move_on_after(30):
            await made.run(found.sink)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    built = [build_target(labels, pool_options(config)) for labels in found.targets]
    return {(each.url, dict(each.labels).get("instance", "")) for each in built if isinstance(each, Target)}


def test_pods_that_say_by_annotations_where_they_are_scraped() -> None:
    """The best known job of all: keep, path, and port from annotations."""
    cluster = FakeCluster()
    for name, told in (
        ("plain", {}),
        ("wants", {"prometheus.io/scrape": "true", "prometheus.io/path": "/m", "prometheus.io/port": "9102"}),
    ):
        found = pod(name, "10.0.0.1")
        found["metadata"]["annotations"] = told
        cluster.put("pods", found)
    job = """
scrape_configs:
- job_name: pods
  kubernetes_sd_configs: [{api_server: 'http://api', role: pod}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: 'true', action: keep}
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], regex: '(.+)', target_label: __metrics_path__}
  - source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port]
    regex: '(.+?)(?::[0-9]+)?;([0-9]+)'
    replacement: '$1:$2'
    target_label: __address__
"""
    assert scraped(cluster, job) == {("http://10.0.0.1:9102/m", "10.0.0.1:9102")}


def test_a_service_monitor() -> None:
    """As an operator writes it: endpoints of a service by its label, a port by its name, pods as instances."""
    cluster = FakeCluster()
    cluster.put("pods", pod("p", "10.0.0.1"))
    for name in ("web", "other"):
        cluster.put("services", service(name))
        cluster.put("endpoints", endpoints(name, ("p", "10.0.0.1")))
    job = """
scrape_configs:
- job_name: serviceMonitor/shop/web/0
  kubernetes_sd_configs: [{api_server: 'http://api', role: endpoints, namespaces: {names: [shop]}}]
  relabel_configs:
  - source_labels: [__meta_kubernetes_service_label_app, __meta_kubernetes_service_labelpresent_app]
    regex: '(web);true'
    action: keep
  - {source_labels: [__meta_kubernetes_endpoint_port_name], regex: web, action: keep}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: instance}
"""
    assert scraped(cluster, job) == {("http://10.0.0.1:80/metrics", "p")}


def test_probes_of_ingresses() -> None:
    """Blackbox: what is probed becomes a parameter, and the exporter the address."""
    cluster = FakeCluster()
    rules = [{"host": "a.example", "http": {"paths": [{"path": "/x"}]}}]
    spec = {"rules": rules, "tls": [{"hosts": ["a.example"]}]}
    cluster.put("ingresses", {"metadata": {"name": "i", "namespace": "shop"}, "spec": spec})
    job = """
scrape_configs:
- job_name: probes
  metrics_path: /probe
  params: {module: [http_2xx]}
  kubernetes_sd_configs: [{api_server: 'http://api', role: ingress}]
  relabel_configs:
  - source_labels: [__meta_kubernetes_ingress_scheme, __address__, __meta_kubernetes_ingress_path]
    regex: '(.+);(.+);(.+)'
    replacement: '$1://$2$3'
    target_label: __param_target
  - {target_label: __address__, replacement: 'blackbox:9115'}
  - {source_labels: [__param_target], target_label: instance}
"""
    assert scraped(cluster, job) == {
        (
            "http://blackbox:9115/probe?module=http_2xx&target=https%3A%2F%2Fa.example%2Fx",
            "https://a.example/x",
        )
    }
