"""The effective configuration, the web config file, and the files a configuration points at."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from trimon.config import effective_yaml, load, load_text, load_web_config
from trimon.config.references import refuse_missing
from trimon.errors import UserError

SAMPLES = Path(__file__).parents[2] / "config"
HASH = "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"


def test_the_effective_configuration_has_defaults_made_explicit() -> None:
    """Defaults are written out, empty optional fields are left out, in Prometheus' words and units."""
    config = load_text(
        "scrape_configs: [{job_name: a, static_configs: [{targets: ['x:1']}], body_size_limit: 10MB}]",
        "p.yml",
    )
    shown = yaml.safe_load(effective_yaml(config))
    assert shown["global"]["scrape_interval"] == "1m"
    assert shown["global"]["scrape_timeout"] == "10s"
    assert "external_labels" not in shown["global"]
    job = shown["scrape_configs"][0]
    assert job["honor_timestamps"] is True
    assert job["track_timestamps_staleness"] is False
    assert job["body_size_limit"] == "10MiB"
    assert job["static_configs"] == [{"targets": ["x:1"]}]
    assert "honor_labels" not in job
    assert "sample_limit" not in job


@pytest.mark.parametrize("sample", ["minimal.yml", "full.yml", "rules.yml", "custom-discovery.yml"])
def test_what_is_shown_can_be_loaded_again(sample: str) -> None:
    """The effective configuration of a sample, loaded, asks for the same where there are no secrets."""
    config = load(SAMPLES / sample, environment={"HOSTNAME": "h"})
    shown = effective_yaml(config)
    again = load_text(shown, SAMPLES / "shown.yml", environment={})
    assert effective_yaml(again) == shown
    if "<secret>" not in shown:
        assert again.scrape_configs == config.scrape_configs
        assert again.global_ == config.global_


def test_missing_files_are_named_where_they_stand(tmp_path: Path) -> None:
    """check config names the first file of a client that is not there, with its place in the configuration."""
    text = (
        "scrape_configs:\n"
        "  - job_name: a\n"
        "    basic_auth: {password_file: none}\n"
        "    tls_config: {ca_file: none, cert_file: c, key_file: k}\n"
        "  - job_name: b\n"
        "    bearer_token_file: token\n"
    )
    found = []
    for job in load_text(text, tmp_path / "prometheus.yml").scrape_configs:
        with pytest.raises(UserError) as missing:
            refuse_missing(job)
        found.append((missing.value.position.line, missing.value.message.replace(str(tmp_path), "")))
    credentials = "authorization credentials or bearer token file"
    assert found == [
        (4, 'error checking client cert file "/c": stat /c: no such file or directory'),
        (6, f'error checking {credentials} "/token": stat /token: no such file or directory'),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls_server_config: {cert_file: a}", "1:20: missing one of key or key_file"),
        ("tls_server_config: {key_file: a}", "1:20: missing one of cert or cert_file"),
        ("tls_server_config: {client_auth_type: NoClientCert}", "missing one of cert or cert_file"),
        ("tls_server_config: {min_version: SSL3}", "unknown TLS version: SSL3"),
        (
            "tls_server_config: {cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}",
            "unknown cipher: TLS_RSA_WITH_RC4_128_SHA",
        ),
        ("tls_server_config: {curve_preferences: [P224]}", "unknown curve: P224"),
        ("basic_auth_users: {a: password}", "hashedSecret too short"),
        (f"basic_auth_users: {{a: '{'x' * 60}'}}", "bcrypt hashes must start with '$'"),
        (f"basic_auth_users: {{a: '$3{'x' * 60}'}}", "version '3' requested is newer"),
        (f"basic_auth_users: {{a: '$2b$xx${'x' * 60}'}}", "the cost of a hash is no number"),
        ("trimon: {roles: {a: [read]}}", 'user "a" has roles, but is not in basic_auth_users'),
        ("trimon: {roles: {a: [root]}}", 'unknown role "root", known are read, write, admin, debug'),
        ("trimon: {tokens: [{name: a}]}", "a token has no file"),
        ("trimon: {tokens: [{name: a, file: b}, {name: a, file: c}]}", 'token "a" is there twice'),
        ("trimon: {exempt_paths: [metrics]}", 'path "metrics" does not begin with a slash'),
        ('http_server_config: {headers: {X-XSS-Protection: "1\\r\\nX: y"}}', "has a line break"),
        ("http_server_config: {headers: {X: y}}", 'HTTP header "X" can not be configured'),
        ("http_server_config: {headers: {X-Frame-Options: maybe}}", "invalid value for X-Frame-Options"),
        ("rate_limit: {interval: often}", "cannot unmarshal !!str `often` into time.Duration"),
        ("users: {}", "field users not found in type web.Config"),
    ],
)
def test_a_bad_web_config_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Mistakes in the web config file are named with their place and without secrets."""
    path = tmp_path / "web.yml"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        load_web_config(path)
    assert message in str(refused.value)
    assert (refused.value.position.file, refused.value.position.line) == (str(path), 1)


def test_strict_refuses_what_prometheus_does_not_know(tmp_path: Path) -> None:
    """The section of our own is an unknown field with --compat=strict."""
    path = tmp_path / "web.yml"
    path.write_text("trimon: {exempt_paths: [/metrics]}\n")
    assert load_web_config(path).trimon.exempt_paths == ("/metrics",)
    with pytest.raises(UserError, match=r"field trimon not found in type web\.Config"):
        load_web_config(path, strict=True)


def test_a_web_config_is_read(tmp_path: Path) -> None:
    """Paths are joined, hashes are secrets, versions and HTTP/2 have their defaults; an empty file is fine."""
    path = tmp_path / "web.yml"
    path.write_text(
        f"tls_server_config: {{cert_file: c, key_file: /k}}\nbasic_auth_users: {{alice: '{HASH}'}}\n"
    )
    config = load_web_config(path)
    assert config.tls_server_config.cert_file == str(tmp_path / "c")
    assert (config.tls_server_config.min_version, config.http_server_config.http2) == ("TLS12", True)
    assert [(user, hashed.reveal()) for user, hashed in config.basic_auth_users] == [("alice", HASH)]
    assert HASH not in repr(config)
    path.write_text("")
    assert load_web_config(path).basic_auth_users == ()
