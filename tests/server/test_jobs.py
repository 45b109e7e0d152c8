"""Every field of a scrape config, and every special label of a target, does something or is refused by name."""

from __future__ import annotations

from dataclasses import fields

import pytest

from trimon.config.discovery.table import MECHANISMS
from trimon.config.load import load_text
from trimon.config.scrape import ScrapeConfig
from trimon.errors import UserError
from trimon.model.relabel import Relabeling
from trimon.peers.options import client_options
from trimon.scrape.options import PoolOptions
from trimon.scrape.target import DroppedTarget, Target, build_target
from trimon.server.jobs import job_config

# By field a value that is not the default, as it is written.
EXAMPLES = {
    "basic_auth": "{username: u}",
    "authorization": "{credentials: c}",
    "bearer_token": "t",
    "bearer_token_file": "/t",
    "tls_config": "{server_name: s}",
    "oauth2": "{client_id: c, client_secret: s, token_url: 'http://127.0.0.1:1/t'}",
    "proxy_url": "http://p:1",
    "proxy_from_environment": "true",
    "proxy_connect_header": "{X-A: [b]}\n  proxy_url: http://p:1",
    "no_proxy": "n\n  proxy_url: http://p:1",
    "follow_redirects": "false",
    "http_headers": "{X-A: {values: [a]}}",
    "job_name": "other",
    "scrape_interval": "20s",
    "scrape_timeout": "3s",
    "scrape_protocols": "[PrometheusText0.0.4]",
    "fallback_scrape_protocol": "PrometheusText0.0.4",
    "metrics_path": "/m",
    "scheme": "https",
    "params": "{a: [b]}",
    "honor_labels": "true",
    "honor_timestamps": "false",
    "enable_compression": "false",
    "body_size_limit": "1KB",
    "sample_limit": "1",
    "target_limit": "1",
    "label_limit": "1",
    "on_limit": "keep_known",
    "exposed_sample_limit": "1",
    "metric_name_limit": "1",
    "new_series_limit": "1",
    "label_name_length_limit": "1",
    "label_value_length_limit": "1",
    "keep_dropped_targets": "1",
    "metric_name_validation_scheme": "legacy",
    "metric_name_escaping_scheme": "dots",
    "extra_scrape_metrics": "true",
    "scrape_failure_log_file": "/f",
    "relabel_configs": "[{target_label: a, replacement: b}]",
    "metric_relabel_configs": "[{target_label: a, replacement: b}]",
    "static_configs": "[{targets: [a]}]",
    "file_sd_configs": "[{files: [a.json]}]",
    "trimon_sd_configs": "[{plugin: x:y}]",
    "native_histogram_min_bucket_factor": "1.1",
    "native_histogram_bucket_limit": "1",
    "convert_classic_histograms_to_nhcb": "true",
    "always_scrape_classic_histograms": "true",
    "scrape_native_histograms": "true",
    "track_timestamps_staleness": "true",
}
WARNED = {"enable_http2": "true"}


def job(field: str = "", value: str = "") -> ScrapeConfig:
    lines = (
        ["scrape_configs:", "- job_name: j"]
        if field != "job_name"
        else ["scrape_configs:", "- job_name: other"]
    )
    if field and field != "job_name":
        lines.append(f"  {field}: {value}")
    return load_text("\n".join(lines), "prometheus.yml").scrape_configs[0]


def seen(config: ScrapeConfig) -> tuple[object, ...]:
    """All that the parts of the server get to know of a job."""
    made = job_config(config)
    relabeling = [[str(rule.config) for rule in rules.rules] for rules in _relabelings(made.options)]
    client = client_options(config)
    plain = {
        field.name: getattr(made.options, field.name)
        for field in fields(PoolOptions)
        if "relabeling" not in field.name
    }
    try:
        credentials: object = client.credentials()
    except Exception as error:  # noqa: BLE001 # a file with a secret that is not there is known to the client too
        credentials = str(error)
    known = (client.headers, client.server_name, client.follow_redirects, client.proxy)
    return plain, relabeling, made.failure_log, known, credentials, config.discovery()


def _relabelings(options: PoolOptions) -> tuple[Relabeling, ...]:
    return options.relabeling, options.metric_relabeling


def test_every_field_is_on_a_list() -> None:
    """A new field of a scrape config has to say here what it does."""
    # mechanisms of discovery have tests of their own
    known = EXAMPLES.keys() | WARNED.keys() | {mechanism.field for mechanism in MECHANISMS}
    named = {field.name for field in fields(ScrapeConfig)} - {"marks"}
    assert named == known


@pytest.mark.parametrize("field", EXAMPLES)
def test_a_field_reaches_whom_it_concerns(field: str) -> None:
    """Pool, client, log or discovery see another value than without the field."""
    assert seen(job(field, EXAMPLES[field])) != seen(job())


def test_what_changes_nothing_warns_by_name() -> None:
    """A field that may stand there and means nothing is told when it is written out."""
    for field, value in WARNED.items():
        text = "scrape_configs:\n- job_name: j\n"
        [told] = load_text(f"{text}  {field}: {value}\n", "prometheus.yml").without_effect
        assert (told.name, told.place.line) == (field, 3)
        assert load_text(text, "prometheus.yml").without_effect == ()


# By label a value, and what of the target is another then.
SPECIAL = {
    "__address__": ("b:2", "url"),
    "__scheme__": ("https", "url"),
    "__metrics_path__": ("/x y", "url"),
    "__param_a": ("b", "url"),
    "__scrape_interval__": ("20s", "interval_ms"),
    "__scrape_timeout__": ("3s", "timeout_ms"),
    "__unix_socket__": ("/s", "unix_socket"),
}


def target(**labels: str) -> Target:
    made = build_target({"__address__": "a:1", **labels}, PoolOptions("j"))
    assert not isinstance(made, DroppedTarget)
    return made


@pytest.mark.parametrize("label", SPECIAL)
def test_a_special_label_changes_the_target(label: str) -> None:
    """What is scraped, and when, follows the labels; a target over another socket is another target."""
    value, attribute = SPECIAL[label]
    changed = target(**{label: value})
    assert getattr(changed, attribute) != getattr(target(), attribute)
    assert dict(changed.discovered)[label] == value
    assert (changed.key != target().key) == (attribute in ("url", "unix_socket"))


@pytest.mark.parametrize(
    "label",
    [
        "__scrape_native_histograms__",
        "__convert_classic_histograms_to_nhcb__",
        "__always_scrape_classic_histograms__",
    ],
)
def test_histogram_labels(label: str) -> None:
    """They are shown, must be booleans, and say what becomes of this target's histograms."""
    assert dict(target().discovered)[label] == "false"
    with pytest.raises(UserError, match=r'strconv.ParseBool: parsing "yes": invalid syntax'):
        target(**{label: "yes"})
    asked = target(**{label: "true"})
    assert target(**{label: "F"}) != asked
    chosen = {
        "__scrape_native_histograms__": asked.native_histograms,
        "__convert_classic_histograms_to_nhcb__": asked.convert_classic_histograms,
        "__always_scrape_classic_histograms__": asked.always_classic_histograms,
    }
    assert [one for one, yes in chosen.items() if yes] == [label]


def test_paths_are_escaped() -> None:
    """A path is a path: no part of it becomes a query, and what no URL may hold is escaped."""
    assert target(__metrics_path__="/m?x=1&y=2").url == "http://a:1/m%3Fx=1&y=2"
    assert target(__metrics_path__="a/b%20c/é").url == "http://a:1/a/b%2520c/%C3%A9"
