"""From a configuration's HTTP block to a client's options: files that cannot be read."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from trimon import limits
from trimon.config import load_text
from trimon.config.scrape import ScrapeConfig
from trimon.fetch.request import FetchError
from trimon.peers.options import client_options

NUL = '"/no\\0where"'


def job(text: str) -> ScrapeConfig:
    return load_text(f"scrape_configs: [{{job_name: j, {text}}}]", "/p.yml").scrape_configs[0]


@pytest.mark.parametrize(
    "text",
    [
        f"basic_auth: {{username: u, password_file: {NUL}}}",
        f"basic_auth: {{username_file: {NUL}, password: x}}",
        f"authorization: {{credentials_file: {NUL}}}",
        f"bearer_token_file: {NUL}",
        f"http_headers: {{A: {{files: [{NUL}]}}}}",
    ],
)
def test_a_secret_in_a_file_that_cannot_be_named_fails_the_request(text: str) -> None:
    """A path with a NUL is an error of the request, as a file that is not there."""
    with pytest.raises(FetchError, match=r"unable to read file /no.where: Invalid argument"):
        client_options(job(text)).credentials()


@pytest.mark.parametrize(
    "text",
    [f"ca_file: {NUL}", f"cert_file: {NUL}, key_file: /dev/null", f"cert_file: /dev/null, key_file: {NUL}"],
)
def test_a_certificate_in_a_file_that_cannot_be_named_fails_the_handshake(text: str) -> None:
    """The same for files of TLS: an OSError, which the client tells as one of TLS."""
    with pytest.raises(OSError, match="Invalid argument"):
        client_options(job(f"tls_config: {{{text}}}")).tls()


@pytest.mark.parametrize("name", ["ca_file", "cert_file"])
def test_a_certificate_that_is_no_text_fails_the_handshake(name: str, tmp_path: Path) -> None:
    """Bytes beyond ASCII in a certificate are an error of TLS."""
    file = tmp_path / "bad.pem"
    file.write_bytes(b"\xff\xfe\x00")
    more = f", key_file: {file}" if name == "cert_file" else ""
    with pytest.raises(ssl.SSLError):
        client_options(job(f"tls_config: {{{name}: {file}{more}}}")).tls()


@pytest.mark.parametrize("text", ["ca: ä", "cert: ä, key: ä"])
def test_a_certificate_in_the_configuration_that_is_no_ascii_fails_the_handshake(text: str) -> None:
    """So does one that stands in the configuration itself."""
    with pytest.raises(ssl.SSLError, match="not ASCII"):
        client_options(job(f"tls_config: {{{text}}}")).tls()


@pytest.mark.parametrize("kind", ["fifo", "device", "huge"])
def test_files_that_would_keep_the_server_waiting_are_refused(kind: str, tmp_path: Path) -> None:
    """A pipe, a device and a file that is too large are errors of the request, at once, as secrets and as certificates."""
    path = tmp_path / "file"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(b"")
        os.truncate(path, limits.CERTIFICATE_FILE_BYTES_MAX + 1)
    secret = client_options(job(f"basic_auth: {{username: u, password_file: {path}}}"))
    with pytest.raises(FetchError, match="unable to read file"):
        secret.credentials()
    certificate = client_options(job(f"tls_config: {{ca_file: {path}}}"))
    with pytest.raises(OSError, match=r"not a regular file|are the most"):
        certificate.tls()


@pytest.mark.parametrize(
    "text", ["authorization: {{credentials_file: {file}}}", "http_headers: {{X-A: {{files: [{file}]}}}}"]
)
def test_a_file_with_several_lines_fails_the_request(text: str, tmp_path: Path) -> None:
    """What cannot be sent in a header is an error of the request that names the file, and not what it says."""
    file = tmp_path / "token"
    file.write_text("  hunter2\n")
    options = client_options(job(text.format(file=file)))
    assert options.credentials()[0][1].endswith("hunter2")
    file.write_text("hunter2\r\nX-Evil: 1\n")
    with pytest.raises(
        FetchError, match=r"cannot be sent in a header: it has a line break \(U\+000A\)"
    ) as error:
        options.credentials()
    assert str(file) in str(error.value)
    assert "hunter2" not in str(error.value)
