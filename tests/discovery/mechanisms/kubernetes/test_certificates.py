"""A kubeconfig with client certificates, against a server that wants them, over real TLS."""

from __future__ import annotations

import base64
import json
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from tests.support.fake_cluster import pod
from trimon.config import load_text
from trimon.discovery.doubles import Found, context_of_doubles
from trimon.discovery.mechanisms.kubernetes.discovery import KubernetesDiscovery
from trimon.offload import ThreadOffload


async def serve(stream: trio.SSLStream[trio.SocketStream], seen: list[Any]) -> None:
    """One watch-list of one pod, that stays open."""
    head = b""
    try:
        while b"\r\n\r\n" not in head:
            piece = await stream.receive_some()
            if not piece:
                return
            head += piece
    except trio.BrokenResourceError:  # no certificate, or one that is not taken
        return
    seen.append((head.split(b" ")[1].partition(b"?")[0].decode(), stream.getpeercert()))
    mark = {"resourceVersion": "2", "annotations": {"k8s.io/initial-events-end": "true"}}
    events = [
        {"type": "ADDED", "object": pod("a", "10.0.0.1")},
        {"type": "BOOKMARK", "object": {"metadata": mark}},
    ]
    body = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    await stream.send_all(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(body), body)
    )
    await trio.sleep_forever()


@pytest.mark.parametrize("shown", [True, False])
async def test_the_certificate_of_a_kubeconfig_is_shown(tmp_path: Path, shown: bool) -> None:
    """With it there are targets; without it the server ends the handshake, which is an error of the watch."""
    authority = trustme.CA()
    of_server, of_client = (
        authority.issue_cert("kube.example"),
        authority.issue_cert("prometheus@example.org"),
    )
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    of_server.configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    seen: list[Any] = []

    def encoded(*blobs: trustme.Blob) -> str:
        return base64.b64encode(b"".join(blob.bytes() for blob in blobs)).decode()

    user = {
        "client-certificate-data": encoded(*of_client.cert_chain_pems),
        "client-key-data": encoded(of_client.private_key_pem),
    }
    async with trio.open_nursery() as nursery:
        serving = partial(
            trio.serve_ssl_over_tcp, lambda stream: serve(stream, seen), 0, tls, host="127.0.0.1"
        )
        (listener,) = await nursery.start(serving)
        port = listener.transport_listener.socket.getsockname()[1]
        whole = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [
                {
                    "name": "k",
                    "cluster": {
                        "server": f"https://127.0.0.1:{port}",
                        "certificate-authority-data": encoded(authority.cert_pem),
                        "tls-server-name": "kube.example",
                    },
                }
            ],
            "users": [{"name": "u", "user": user if shown else {}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(whole))
        job = {"job_name": "k", "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(path)}]}
        config = load_text(json.dumps({"scrape_configs": [job]}), "p.yml").scrape_configs[0]
        context = context_of_doubles(offload=ThreadOffload(2))
        made = KubernetesDiscovery({"config": config.kubernetes_sd_configs[0]}, context)
        found = Found()
        nursery.start_soon(made.run, found.sink)
        with trio.move_on_after(10):
            while not (found.published or made.stats.failures):  # noqa: ASYNC110 # it comes over a socket
                await trio.sleep(0.01)
        if shown:
            assert [labels["__address__"] for labels in found.targets] == ["10.0.0.1:80"]
            ((asked, certificate),) = seen
            assert asked == "/api/v1/pods"
            assert ("email", "prometheus@example.org") in certificate["subjectAltName"]
        else:
            assert not found.published
            assert made.stats.last_error
            assert not seen
        nursery.cancel_scope.cancel()
