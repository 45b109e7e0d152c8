"""Certificates of those that the server connects to: what cannot be used fails a reload and a start, as in Prometheus."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from tests.support.commandline import run_trimon
from tests.support.process import running

MANAGERS = "alerting: {alertmanagers: [{scheme: https, tls_config: {%s}, static_configs: [{targets: ['127.0.0.1:1']}]}]}\n"
SECTIONS = {
    "notify": MANAGERS,
    "remote_write": "remote_write: [{url: 'http://127.0.0.1:1/w', tls_config: {%s}}]\n",
    "remote_read": "remote_read: [{url: 'https://127.0.0.1:1/r', tls_config: {%s}}]\n",
    "tracing": "tracing: {endpoint: '127.0.0.1:1', tls_config: {%s}}\n",
    "query_backends": "trimon_query_backends: [{url: 'https://127.0.0.1:1', tls_config: {%s}}]\n",
    "block_shipper": (
        "trimon_block_shipper: {endpoint: 'https://127.0.0.1:1', bucket: blocks, labels: {a: b}, tls_config: {%s}}\n"
    ),
}
FAULTS = {
    "ca_file: /nope/ca": "unable to read CA cert: unable to read file /nope/ca: open /nope/ca: no such file or directory",
    "ca: xx": "unable to use specified CA cert inline",
    "cert_file: /nope/c, key_file: /nope/k": (
        "unable to read specified client cert: unable to read file /nope/c: open /nope/c: no such file or directory"
    ),
    "cert: xx, key: yy": "unable to use specified client cert (inline) & key (inline): ",
}
# Their files are read when they are asked: a reload with one that is not there is a good one.
LATER = """\
scrape_configs:
- job_name: a
  scheme: https
  tls_config: {ca_file: /nope/ca}
  static_configs: [{targets: ['127.0.0.1:1']}]
- job_name: b
  http_sd_configs: [{url: 'https://127.0.0.1:1', tls_config: {cert_file: /nope/c, key_file: /nope/k}}]
"""


def test_a_reload_with_a_certificate_that_cannot_be_used_has_failed(tmp_path: Path) -> None:
    """In each section: 500, the metric, a line with the reason; the rest is taken over. Targets and discovery tell at use."""
    with running(tmp_path / "data", "global: {}\n", "--web.enable-lifecycle") as server:
        for part, section in SECTIONS.items():
            for number, (fault, message) in enumerate(FAULTS.items()):
                before = len(server.log.read_text())
                labels = f"global: {{external_labels: {{at: '{part}{number}'}}}}\n"
                server.config.write_text(labels + section % fault)
                status, text = server.text("/-/reload", "POST")
                assert (status, "one or more errors occurred while applying" in text) == (500, True), (
                    part,
                    fault,
                )
                log = server.log.read_text()[before:]
                (line,) = (each for each in log.splitlines() if "Failed to apply configuration" in each)
                assert f"component={'remote_storage' if part.startswith('remote') else part} " in line
                assert message in line
                assert "prometheus_config_last_reload_successful 0.0" in server.text("/metrics")[1]
                assert f"at: {part}{number}" in server.get("/api/v1/status/config")["data"]["yaml"]
                assert server.text("/-/reload", "POST")[0] == 500
        server.config.write_text(
            LATER
            + SECTIONS["tracing"].replace("tls_config", "insecure: true, tls_config") % "ca_file: /nope/ca"
        )
        assert server.text("/-/reload", "POST") == (200, "")
        # a good one, from files
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        issued = authority.issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
        good = f"ca_file: {tmp_path}/ca.pem, cert_file: {tmp_path}/both.pem, key_file: {tmp_path}/both.pem"
        server.config.write_text("".join(section % good for section in SECTIONS.values()))
        assert server.text("/-/reload", "POST") == (200, "")


@pytest.mark.parametrize("part", SECTIONS)
def test_a_start_with_a_certificate_that_is_not_there_is_refused(part: str, tmp_path: Path) -> None:
    """It ends with code 1 and says which part, which file and where it stands in the configuration."""
    config = tmp_path / "bad.yml"
    config.write_text("global: {}\n" + SECTIONS[part] % "ca_file: /nope/ca")
    done = run_trimon(f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'x'}")
    assert done.exit_code == 1
    text = done.output
    assert "unable to read CA cert: unable to read file /nope/ca" in text
    assert f"component={part}" in text
    assert f"{config}:2" in text
