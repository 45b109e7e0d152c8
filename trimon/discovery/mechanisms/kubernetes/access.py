"""How the API server is reached: as the configuration says, as a kubeconfig says, or as a pod of the cluster does."""

from __future__ import annotations

import os
from pathlib import Path

from trimon import limits
from trimon.config.discovery.kubernetes import KubernetesSdConfig
from trimon.config.http import Authorization, HttpClient, TlsConfig
from trimon.discovery.mechanisms.kubernetes.kubeconfig import ClusterAccess, read_kubeconfig
from trimon.errors import UserError
from trimon.openfiles import read_regular

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where every pod finds the credentials of its service account."""


def access_of(config: KubernetesSdConfig) -> ClusterAccess:
    """The access that a configuration asks for. Blocks on the disk. Raises UserError."""
    if config.kubeconfig_file:
        return read_kubeconfig(config.kubeconfig_file)
    if config.api_server is not None:
        return ClusterAccess(config.api_server.reveal().rstrip("/"), config)
    return _in_cluster(ACCOUNT, wants_namespace=config.namespaces.own_namespace)


def _in_cluster(account: Path, *, wants_namespace: bool) -> ClusterAccess:
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise UserError(
            "kubernetes discovery without api_server and kubeconfig_file works in a pod of a cluster: "
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set"
        )
    token, authority = account / "token", account / "ca.crt"
    _required(token)
    client = HttpClient(
        authorization=Authorization(credentials_file=str(token)),
        tls_config=TlsConfig(ca_file=str(authority) if authority.exists() else ""),
    )
    namespace = _required(account / "namespace").strip() if wants_namespace else ""
    if wants_namespace and not namespace:
        raise UserError(f"{account / 'namespace'} is empty; it has to name the namespace of this pod")
    name = f"[{host}]" if ":" in host else host
    return ClusterAccess(f"https://{name}:{port}", client, namespace)


def _required(path: Path) -> str:
    """The text of a file that every pod has."""
    try:
        return read_regular(path, limits.SECRET_FILE_BYTES_MAX).decode("utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"kubernetes discovery in a cluster: {path}: {error}") from None
