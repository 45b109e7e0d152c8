"""Every field of the configuration takes effect at a reload, is refused, or stands here with the reason why not."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import pytest

from trimon import limits
from trimon.config import GlobalConfig, ScrapeConfig, StorageConfig, load_text
from trimon.config.configuration import MainFile
from trimon.config.model import Model, settings_of
from trimon.config.storage import ExemplarsConfig, RetentionConfig, TsdbConfig
from trimon.config.support import INERT, NO_EFFECT
from trimon.log import LogBuffer
from trimon.server.configuration import LoadedConfiguration, warn_of
from trimon.server.parts.storage import limits_of

SECTIONS: Final = {
    "global": "jobs inherit it; logs, rules and queries read it at each use",
    "runtime": "",
    "alerting": "the notifier and its discovery",
    "rule_files": "the rule manager",
    "scrape_config_files": "more jobs",
    "scrape_configs": "the scrape manager and discovery",
    "storage": "the limits of the store",
    "tracing": "the exporter of spans",
    "remote_write": "the queues of remote write",
    "remote_read": "whom queries ask besides local storage",
    "otlp": "the OTLP receiver asks at each request",
    "trimon_block_shipper": "the block shipper",
    "trimon_query_backends": "whom queries of clients ask for older steps",
    "trimon_receivers": "the receivers of what programs push",
}
"""What takes a section over; empty: nothing acts on it, and whoever has it is warned."""


def test_sections_without_effect_are_warned_of() -> None:
    """A file that has a section on which nothing acts is told so, with the place; one without is told nothing."""
    inert = {name for name, takes_over in SECTIONS.items() if not takes_over}
    assert {*NO_EFFECT, *INERT.get("config", {})} == inert
    for text, sections in (("global: {}\n", []), ("runtime: {gogc: 75}\n", ["runtime"])):
        log = LogBuffer()
        warn_of(LoadedConfiguration(load_text(text, "p.yml")), log)
        told = [(fields["setting"], str(fields["at"])[:5]) for _, _, fields in log.entries]
        assert told == [(name, "p.yml") for name in sections]


def test_a_thousand_settings_without_effect_do_not_fill_the_log() -> None:
    """As many are told as of errors; of the others, their number."""
    jobs = "".join(f"- {{job_name: j{number}, basic_auth: {{username_ref: x}}}}\n" for number in range(1000))
    jobs = "".join(
        f"- {{job_name: j{number}, basic_auth: {{username: u, password_ref: p}}}}\n" for number in range(1000)
    )
    log = LogBuffer()
    warn_of(LoadedConfiguration(load_text(f"scrape_configs:\n{jobs}", "p.yml")), log)
    assert len(log.entries) == limits.ERRORS_TOLD_MAX + 1
    assert log.entries[-1][2] == {"settings": 1000 - limits.ERRORS_TOLD_MAX}


NOT_OF_JOBS: Final = {
    "evaluation_interval": "rules and subqueries",
    "rule_query_offset": "rules",
    "external_labels": "they go out with what is sent, and seed the phase of scrapes at the start",
    "query_log_file": "the query log",
    "metric_name_escaping_scheme": "inherited unless a job has its own",
}
NOT_OF_THE_STORE: Final = {
    "outofordertimewindow": "shown, follows out_of_order_time_window",
    "chunk_encoding": "read, without meaning",
}
OTHER: Final[dict[str, str]] = {
    "int": "7",
    "DURATION": "7s",
    "SIZE": "7MB",
    "Boolean": "true",
    "Whole": "7",
    "Number": "7",
    "FilePath": "x.log",
}
SPECIAL: Final = {
    "metric_name_validation_scheme": "legacy",
    "metric_name_escaping_scheme": "dots",
    "scrape_protocols": "[PrometheusText0.0.4]",
    "fallback_scrape_protocol": "PrometheusText0.0.4",
    "honor_timestamps": "false",
    "enable_compression": "false",
    "follow_redirects": "false",
    "enable_http2": "false",
    "scheme": "https",
    "on_limit": "keep_known",
    "metrics_path": "/x",
    "params": "{a: [b]}",
    "external_labels": "{a: b}",
    "job_name": "other",
    "basic_auth": "{username: u}",
    "authorization": "{credentials: c}",
    "bearer_token": "t",
    "bearer_token_file": "t",
    "tls_config": "{insecure_skip_verify: true}",
    "oauth2": "{client_id: c, client_secret: s, token_url: 'http://127.0.0.1:1/t'}",
    "proxy_url": "http://p:1",
    "proxy_connect_header": "{X-A: [b]}, proxy_url: 'http://p:1'",
    "no_proxy": "a, proxy_url: 'http://p:1'",
    "http_headers": "{X-A: {values: [a]}}",
    "relabel_configs": "[{target_label: a}]",
    "metric_relabel_configs": "[{target_label: a}]",
    "static_configs": "[{targets: ['h:1']}]",
    "file_sd_configs": "[{files: [a.json]}]",
    "trimon_sd_configs": "[{plugin: 'm:a'}]",
    "aws_sd_configs": "[{role: ec2, region: eu-test-1}]",
    "azure_sd_configs": "[{subscription_id: s, authentication_method: ManagedIdentity}]",
    "consul_sd_configs": "[{server: 'localhost:8500'}]",
    "digitalocean_sd_configs": "[{role: databases}]",
    "dns_sd_configs": "[{names: [example.org]}]",
    "docker_sd_configs": "[{host: 'unix:///var/run/docker.sock'}]",
    "dockerswarm_sd_configs": "[{host: 'unix:///var/run/docker.sock', role: nodes}]",
    "ec2_sd_configs": "[{region: eu-test-1}]",
    "ecs_sd_configs": "[{region: eu-test-1}]",
    "elasticache_sd_configs": "[{region: eu-test-1}]",
    "eureka_sd_configs": "[{server: 'http://eureka.example:8761/eureka'}]",
    "gce_sd_configs": "[{project: p, zone: z}]",
    "hetzner_sd_configs": "[{role: hcloud}]",
    "http_sd_configs": "[{url: 'http://targets.example/'}]",
    "ionos_sd_configs": "[{datacenter_id: d}]",
    "kubernetes_sd_configs": "[{role: pod}]",
    "kuma_sd_configs": "[{server: 'http://kuma.example:5676'}]",
    "lightsail_sd_configs": "[{region: eu-test-1}]",
    "linode_sd_configs": "[{region: r}]",
    "marathon_sd_configs": "[{servers: ['http://marathon.example:8080']}]",
    "msk_sd_configs": "[{region: eu-test-1}]",
    "nerve_sd_configs": "[{servers: ['zk.example:2181'], paths: [/nerve]}]",
    "nomad_sd_configs": "[{server: 'http://nomad.example:4646'}]",
    "oci_sd_configs": "[{tenancy: t, user: u, fingerprint: f, key_file: k, region: r}]",
    "openstack_sd_configs": "[{role: instance, region: r}]",
    "outscale_sd_configs": "[{access_key: a, secret_key: s}]",
    "ovhcloud_sd_configs": "[{application_key: a, application_secret: s, consumer_key: c, service: vps}]",
    "puppetdb_sd_configs": "[{url: 'http://puppetdb.example:8080', query: 'resources { }'}]",
    "rds_sd_configs": "[{region: eu-test-1}]",
    "scaleway_sd_configs": (
        "[{role: instance, project_id: 00000000-0000-4000-8000"
        "-000000000000, access_key: SCWTESTTESTTESTTEST0, secret_key: 00000000-0000-4000-8000-000000000000}]"
    ),
    "serverset_sd_configs": "[{servers: ['zk.example:2181'], paths: [/serverset]}]",
    "stackit_sd_configs": "[{project: p}]",
    "triton_sd_configs": "[{account: a, dns_suffix: s, endpoint: e}]",
    "uyuni_sd_configs": "[{server: 'https://uyuni.example', username: u, password: p}]",
    "vultr_sd_configs": "[{port: 81}]",
}


def another(model: type[Model], name: str) -> str:
    """A value that a field does not have by default."""
    kind = settings_of(model)[name].metadata["kind"]
    sort = type(kind).__name__
    if name not in SPECIAL and sort == "_Measure":
        return "7MB" if "size" in name else "7s"
    return SPECIAL.get(name) or OTHER[sort]


def active(model: type[Model]) -> list[str]:
    """The fields that take more than their default."""
    inert = set(INERT.get(model.section, ()))
    return [name for name in settings_of(model) if name not in inert]


def test_every_section_is_known() -> None:
    """A new section is listed with what takes it over."""
    assert settings_of(MainFile).keys() == SECTIONS.keys()


@pytest.mark.parametrize("name", active(ScrapeConfig))
def test_a_changed_field_of_a_job_is_noticed(name: str) -> None:
    """A reload compares jobs: every field makes another job, or other sources of targets."""

    def load(line: str) -> ScrapeConfig:
        job_name = "" if name == "job_name" else "job_name: a, "
        return load_text(f"scrape_configs: [{{{job_name}{line}}}]", "/p.yml").scrape_configs[0]

    before, after = (
        load("job_name: a" if name == "job_name" else ""),
        load(f"{name}: {another(ScrapeConfig, name)}"),
    )
    assert (before.without_discovery(), before.discovery()) != (after.without_discovery(), after.discovery())


@pytest.mark.parametrize("name", active(GlobalConfig))
def test_a_changed_field_of_global_is_noticed(name: str) -> None:
    """Every field of `global` makes other jobs, or stands in the list of those that concern others."""

    def load(line: str) -> ScrapeConfig:
        return load_text(f"global: {{{line}}}\nscrape_configs: [{{job_name: a}}]", "/p.yml").scrape_configs[0]

    changed = load("") != load(f"{name}: {another(GlobalConfig, name)}")
    assert changed or name in NOT_OF_JOBS


@pytest.mark.parametrize(
    ("model", "frame"),
    [
        (TsdbConfig, "tsdb: {{{}}}"),
        (RetentionConfig, "tsdb: {{retention: {{{}}}}}"),
        (ExemplarsConfig, "exemplars: {{{}}}"),
    ],
)
def test_a_changed_field_of_storage_changes_the_store(model: type[Model], frame: str) -> None:
    """Every field of `storage` changes the limits of the store, or stands in the list of those without meaning."""

    def limits(line: str) -> Any:
        config = load_text(f"storage: {{{frame.format(line)}}}" if line else "", "/p.yml")
        return limits_of(config.storage, exemplars=True)

    for name in active(model):
        if name == "retention" or name in NOT_OF_THE_STORE:
            continue
        assert limits(f"{name}: {another(model, name)}") != limits(""), name
    nested = {each.name for each in dataclasses.fields(StorageConfig) if "kind" in each.metadata}
    assert nested == {"tsdb", "exemplars"}
