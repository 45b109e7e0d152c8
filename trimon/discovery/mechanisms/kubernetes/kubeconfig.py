"""A kubeconfig file: the server and the credentials of its current context.

Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/. Programs that give credentials (`exec`) and
`auth-provider` are refused: this process starts no others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trimon import limits
from trimon.config.filetext import read_text
from trimon.config.http import Authorization, BasicAuth, HttpClient, HttpHeader, TlsConfig
from trimon.config.secret import Secret, SecretUrl
from trimon.config.yaml.tree import Document
from trimon.discovery.asking.record import Record, SourceError
from trimon.errors import Position, UserError
from trimon.records import dataclass

_REFUSED: Final = {
    "exec": "credentials of a program (exec)",
    "auth-provider": "credentials of an auth-provider",
    "as-user-extra": "extra fields of another user (as-user-extra)",
}


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """Where an API server is and how it is reached."""

    url: str
    """Without a slash at its end."""
    client: HttpClient
    own_namespace: str = ""


def read_kubeconfig(path: str) -> ClusterAccess:
    """The access of the current context. Blocks on the disk. Raises UserError."""
    document = Document(read_text(Path(path), limits.DISCOVERY_FILE_BYTES_MAX), path)
    plain = document.plain(document.root) if document.root is not None else None
    if not isinstance(plain, Mapping):
        raise UserError("a kubeconfig is a mapping", Position(file=path))
    try:
        return _access(Record(plain), path)
    except SourceError as error:
        raise UserError(
            str(error).replace("of the answer", "of the kubeconfig"), Position(file=path)
        ) from None


def _access(whole: Record, path: str) -> ClusterAccess:
    current = whole.text("current-context")
    if not current:
        raise UserError("the kubeconfig has no current-context", Position(file=path))
    context = _named(whole, "contexts", "context", current, path)
    cluster = _named(whole, "clusters", "cluster", context.text("cluster"), path)
    user_name = context.text("user")
    user = _named(whole, "users", "user", user_name, path) if user_name else Record({})
    for field, what in _REFUSED.items():
        if field in user:
            raise UserError(f'user "{user_name}": {what} are not supported', Position(file=path))
    server = cluster.text("server").rstrip("/")
    if not server.startswith(("http://", "https://")):
        raise UserError(
            f'the server of cluster "{context.text("cluster")}" is "{server}"; it has to be a URL of http or https',
            Position(file=path),
        )
    return ClusterAccess(server, _client(cluster, user, path))


def _named(whole: Record, listed: str, field: str, name: str, path: str) -> Record:
    for each in whole.records(listed):
        if each.text("name") == name:
            return each.record(field)
    raise UserError(f'the kubeconfig has no {field} "{name}" among its {listed}', Position(file=path))


def _client(cluster: Record, user: Record, path: str) -> HttpClient:
    folder = Path(path).parent

    def at(record: Record, field: str) -> str:
        name = record.text(field)
        return str(folder / name) if name else ""

    ca, cert, key = (
        _decoded(record, field, path)
        for record, field in (
            (cluster, "certificate-authority-data"),
            (user, "client-certificate-data"),
            (user, "client-key-data"),
        )
    )
    tls = TlsConfig(
        ca=ca,
        ca_file="" if ca else at(cluster, "certificate-authority"),
        cert=cert,
        cert_file="" if cert else at(user, "client-certificate"),
        key=Secret(key),
        key_file="" if key else at(user, "client-key"),
        server_name=cluster.text("tls-server-name"),
        insecure_skip_verify=cluster.flag("insecure-skip-tls-verify"),
    )
    if bool(tls.cert or tls.cert_file) != bool(tls.key or tls.key_file):
        raise UserError("a client certificate and its key are needed together", Position(file=path))
    authorization = basic = None
    if token_file := at(user, "tokenFile"):
        authorization = Authorization(credentials_file=token_file)
    elif token := user.text("token"):
        authorization = Authorization(credentials=Secret(token))
    elif name := user.text("username"):
        basic = BasicAuth(username=name, password=Secret(user.text("password")))
    return HttpClient(
        authorization=authorization,
        basic_auth=basic,
        tls_config=tls,
        proxy_url=SecretUrl(cluster.text("proxy-url")),
        http_headers=_impersonation(user),
    )


def _impersonation(user: Record) -> tuple[tuple[str, HttpHeader], ...]:
    """Headers that ask to be somebody else."""
    values = {
        "Impersonate-User": tuple(filter(None, (user.text("as"),))),
        "Impersonate-Uid": tuple(filter(None, (user.text("as-uid"),))),
        "Impersonate-Group": tuple(user.texts("as-groups")),
    }
    return tuple((name, HttpHeader(values=given)) for name, given in values.items() if given)


def _decoded(record: Record, field: str, path: str) -> str:
    try:
        return base64.b64decode(record.text(field), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise UserError(f"{field} is not base64 of a PEM text", Position(file=path)) from None
