"""How the API server is reached."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from trimon.config import load_text
from trimon.config.discovery.kubernetes import KubernetesSdConfig
from trimon.config.http import Authorization, BasicAuth
from trimon.discovery.mechanisms.kubernetes import access
from trimon.discovery.mechanisms.kubernetes.access import access_of
from trimon.discovery.mechanisms.kubernetes.kubeconfig import read_kubeconfig
from trimon.errors import UserError


def config(**fields: Any) -> KubernetesSdConfig:
    section = {"role": "pod", **fields}
    text = json.dumps({"scrape_configs": [{"job_name": "k", "kubernetes_sd_configs": [section]}]})
    return load_text(text, "p.yml").scrape_configs[0].kubernetes_sd_configs[0]


def kubeconfig(tmp_path: Path, user: Any, cluster: Any = None, **fields: Any) -> str:
    """A file with one context."""
    whole = {
        "current-context": "c",
        "contexts": [
            {"name": "other", "context": {}},
            {"name": "c", "context": {"cluster": "k", "user": "u"}},
        ],
        "clusters": [{"name": "k", "cluster": {"server": "https://api:6443/base/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
        **fields,
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(whole))
    return str(path)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_the_current_context_says_server_and_credentials(tmp_path: Path) -> None:
    """Certificates inline or in files beside the kubeconfig, a name for TLS, a proxy."""
    user = {"client-certificate-data": encoded("CERT"), "client-key-data": encoded("KEY")}
    cluster = {"certificate-authority": "ca.pem", "tls-server-name": "kube", "proxy-url": "http://proxy:3128"}
    found = read_kubeconfig(kubeconfig(tmp_path, user, cluster))
    assert found.url == "https://api:6443/base"
    tls = found.client.tls_config
    assert (tls.cert, tls.key.reveal(), tls.server_name) == ("CERT", "KEY", "kube")
    assert tls.ca_file == str(tmp_path / "ca.pem")
    assert found.client.proxy_url.reveal() == "http://proxy:3128"
    assert "KEY" not in repr(found)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"token": "t"}, "t"),
        ({"token": "t", "tokenFile": "t.txt"}, "t.txt"),
        ({"tokenFile": "/run/t"}, "/run/t"),
        ({"username": "u", "password": "p"}, "u/p"),
        ({}, ""),
    ],
)
def test_tokens_and_passwords(tmp_path: Path, user: Any, expected: str) -> None:
    """A file goes before a token, which goes before a password."""
    client = read_kubeconfig(kubeconfig(tmp_path, user)).client
    got = ""
    if isinstance(bearer := client.authorization, Authorization):
        file = Path(bearer.credentials_file)
        named = str(file.relative_to(tmp_path) if file.is_relative_to(tmp_path) else file)
        got = named if bearer.credentials_file else bearer.credentials.reveal()
    elif isinstance(basic := client.basic_auth, BasicAuth):
        got = f"{basic.username}/{basic.password.reveal()}"
    assert got == expected


def test_somebody_else_is_asked_for_by_headers(tmp_path: Path) -> None:
    """`as` and its like."""
    client = read_kubeconfig(kubeconfig(tmp_path, {"as": "me", "as-groups": ["a", "b"]})).client
    assert [(name, header.values) for name, header in client.http_headers] == [
        ("Impersonate-User", ("me",)),
        ("Impersonate-Group", ("a", "b")),
    ]


@pytest.mark.parametrize(
    ("user", "fields", "message"),
    [
        ({"exec": {"command": "aws"}}, {}, r'user "u": credentials of a program \(exec\) are not supported'),
        ({"auth-provider": {"name": "gcp"}}, {}, "credentials of an auth-provider are not supported"),
        ({"client-certificate": "c.pem"}, {}, "a client certificate and its key are needed together"),
        ({"client-key-data": "%%%"}, {}, "client-key-data is not base64"),
        ({"token": 3}, {}, "users"),
        ({}, {"current-context": ""}, "no current-context"),
        ({}, {"current-context": "x"}, 'no context "x" among its contexts'),
        ({}, {"clusters": []}, 'no cluster "k" among its clusters'),
        ({}, {"clusters": [{"name": "k", "cluster": {}}]}, "it has to be a URL of http or https"),
        ({}, {"users": 3}, "users"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(tmp_path: Path, user: Any, fields: Any, message: str) -> None:
    """Each fault is an error of the user."""
    path = kubeconfig(tmp_path, user, **fields)
    with pytest.raises(UserError, match=message) as caught:
        read_kubeconfig(path)
    assert caught.value.position.file == path


def test_a_kubeconfig_that_is_none(tmp_path: Path) -> None:
    """A file that is missing, or no mapping."""
    with pytest.raises(UserError):
        access_of(config(kubeconfig_file=str(tmp_path / "missing")))
    path = tmp_path / "list"
    path.write_text("[]")
    with pytest.raises(UserError, match="a kubeconfig is a mapping"):
        access_of(config(kubeconfig_file=str(path)))


def test_an_address_in_the_configuration(tmp_path: Path) -> None:
    """The configuration is its own client; a slash at the end of the address does not count."""
    section = config(api_server="https://api/k8s/")
    found = access_of(section)
    assert found.url == "https://api/k8s"
    assert found.client is section


def test_a_pod_of_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address from the environment, brackets around IPv6; token, authority and namespace from the account."""
    monkeypatch.setattr(access, "ACCOUNT", tmp_path)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    own = config(namespaces={"own_namespace": True})
    with pytest.raises(UserError, match="KUBERNETES_SERVICE_HOST"):
        access_of(own)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(UserError, match="token"):
        access_of(own)
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("c")
    (tmp_path / "namespace").write_text("\n")
    with pytest.raises(UserError, match="is empty"):
        access_of(own)
    (tmp_path / "namespace").write_text("shop\n")
    found = access_of(own)
    assert (found.url, found.own_namespace) == ("https://[fd00::1]:443", "shop")
    assert found.client.tls_config.ca_file == str(tmp_path / "ca.crt")
