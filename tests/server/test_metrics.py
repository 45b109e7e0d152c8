"""Our own /metrics: what is there is documented, and the names that dashboards for Prometheus ask for are there."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.support.process import ROOT, Server, running

CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:9"]}}]}}]}}
scrape_configs:
  - job_name: self
    file_sd_configs: [{{files: ["targets.json"]}}]
remote_write:
  - {{url: 'http://127.0.0.1:9/'}}
remote_read:
  - {{url: 'http://127.0.0.1:9/'}}
trimon_receivers:
  graphite: {{listen_address: '127.0.0.1:0'}}
"""
RULES = "groups:\n  - name: g\n    rules:\n      - {record: r, expr: vector(1)}\n      - {alert: A, expr: vector(1)}\n"

# What the alerts and dashboards of the Prometheus mixin ask for, and whose subject trimon has.
ASKED = """
prometheus_build_info prometheus_config_last_reload_successful prometheus_engine_query_duration_seconds
prometheus_engine_queries prometheus_engine_queries_concurrent_max prometheus_engine_query_log_enabled
prometheus_engine_query_log_failures_total prometheus_http_requests_total prometheus_http_request_duration_seconds
prometheus_http_response_size_bytes prometheus_ready prometheus_rule_evaluation_failures_total
prometheus_rule_evaluations_total prometheus_rule_evaluation_duration_seconds prometheus_rule_group_duration_seconds
prometheus_rule_group_interval_seconds prometheus_rule_group_iterations_missed_total
prometheus_rule_group_iterations_total prometheus_rule_group_last_duration_seconds prometheus_rule_group_rules
prometheus_sd_discovered_targets prometheus_sd_failed_configs prometheus_sd_received_updates_total
prometheus_sd_refresh_failures_total prometheus_sd_updates_total prometheus_sd_updates_delayed_total
prometheus_sd_file_scan_duration_seconds prometheus_sd_file_read_errors_total
prometheus_target_interval_length_seconds prometheus_target_metadata_cache_bytes
prometheus_target_metadata_cache_entries prometheus_target_scrape_pool_exceeded_label_limits_total
prometheus_target_scrape_pool_exceeded_target_limit_total prometheus_target_scrape_pool_reloads_failed_total
prometheus_target_scrape_pool_reloads_total prometheus_target_scrape_pool_sync_total
prometheus_target_scrape_pool_target_limit prometheus_target_scrape_pool_targets
prometheus_target_scrape_pools_failed_total prometheus_target_scrape_pools_total
prometheus_target_scrapes_exceeded_body_size_limit_total prometheus_target_scrapes_exceeded_sample_limit_total
prometheus_target_scrapes_sample_duplicate_timestamp_total prometheus_target_scrapes_sample_out_of_bounds_total
prometheus_target_scrapes_sample_out_of_order_total prometheus_target_sync_failed_total
prometheus_target_sync_length_seconds prometheus_tsdb_blocks_loaded prometheus_tsdb_clean_start
prometheus_tsdb_compaction_duration_seconds prometheus_tsdb_compactions_failed_total
prometheus_tsdb_compactions_total prometheus_tsdb_compactions_triggered_total
prometheus_tsdb_data_replay_duration_seconds prometheus_tsdb_exemplar_exemplars_in_storage
prometheus_tsdb_head_chunks prometheus_tsdb_head_chunks_created_total prometheus_tsdb_head_chunks_removed_total
prometheus_tsdb_head_series_created_total prometheus_tsdb_head_series_removed_total
prometheus_tsdb_head_gc_duration_seconds prometheus_tsdb_head_max_time
prometheus_tsdb_head_min_time prometheus_tsdb_head_samples_appended_total prometheus_tsdb_head_series
prometheus_tsdb_head_truncations_failed_total prometheus_tsdb_out_of_order_samples_total
prometheus_tsdb_reloads_failures_total prometheus_tsdb_reloads_total prometheus_tsdb_retention_limit_bytes
prometheus_tsdb_size_retentions_total prometheus_tsdb_storage_blocks_bytes prometheus_tsdb_time_retentions_total
prometheus_tsdb_wal_corruptions_total prometheus_tsdb_wal_fsync_duration_seconds
prometheus_tsdb_wal_truncations_failed_total prometheus_tsdb_wal_writes_failed_total
process_cpu_seconds_total process_max_fds process_open_fds process_resident_memory_bytes
process_start_time_seconds process_virtual_memory_bytes process_virtual_memory_max_bytes
prometheus_remote_storage_queue_highest_sent_timestamp_seconds prometheus_remote_storage_queue_highest_timestamp_seconds
prometheus_remote_storage_samples_dropped_total prometheus_remote_storage_samples_failed_total
prometheus_remote_storage_samples_pending prometheus_remote_storage_samples_retried_total
prometheus_remote_storage_samples_total prometheus_remote_storage_shard_capacity prometheus_remote_storage_shards
prometheus_remote_storage_samples_in_total prometheus_remote_storage_highest_timestamp_in_seconds
prometheus_remote_storage_histograms_pending prometheus_remote_storage_exemplars_pending
prometheus_remote_storage_sent_batch_duration_seconds
prometheus_remote_storage_enqueue_retries_total prometheus_wal_watcher_current_segment
prometheus_remote_storage_shards_desired prometheus_remote_storage_shards_max prometheus_remote_storage_shards_min
""".split()  # noqa: SIM905 - a name a line would be a page
# What they ask for by names that Prometheus itself has left.
NOT_YET = """
prometheus_remote_storage_dropped_samples_total
prometheus_remote_storage_failed_samples_total prometheus_remote_storage_pending_samples
prometheus_remote_storage_retried_samples_total
prometheus_remote_storage_succeeded_samples_total
""".split()  # noqa: SIM905 - as above
# The series that panels and alerts select, with the labels by which they sum, divide and match, and what they must be.
SELECTED = (
    (r'prometheus_build_info\{.*version="3.*\} ', 1),
    (r"prometheus_config_last_reload_successful ", 1),
    (r"prometheus_engine_queries ", 0),
    (r"prometheus_engine_queries_concurrent_max ", 20),
    (r'prometheus_engine_query_duration_seconds\{quantile="0\.9",slice="(?:queue_time|prepare_time)"\} ', 0),
    (r'prometheus_engine_query_duration_seconds\{quantile="0\.9",slice="(?:inner_eval|result_sort)"\} ', 0),
    (r'prometheus_engine_query_duration_seconds_count\{slice="inner_eval"\} ', 1),
    (r"prometheus_notifications_alertmanagers_discovered ", 1),
    (r"prometheus_notifications_queue_capacity ", 10_000),
    (r'prometheus_notifications_errors_total\{alertmanager="http://127\.0\.0\.1:9/api/v2/alerts"\} ', 0),
    (r'prometheus_notifications_sent_total\{alertmanager="http://127\.0\.0\.1:9/api/v2/alerts"\} ', 0),
    (r'prometheus_rule_group_rules\{rule_group="[^"]+rules\.yml;g"\} ', 2),
    (r'prometheus_rule_group_iterations_missed_total\{rule_group="[^"]+;g"\} ', 0),
    (r'prometheus_rule_evaluation_failures_total\{rule_group="[^"]+;g"\} ', 0),
    (r'prometheus_sd_discovered_targets\{config="self",name="scrape"\} ', 1),
    (r'prometheus_target_interval_length_seconds_sum\{interval="200ms"\} ', 0.1),
    (r'prometheus_target_metadata_cache_entries\{scrape_job="self"\} ', 50),
    (r'prometheus_target_sync_length_seconds_sum\{scrape_job="self"\} ', 0),
    (r'prometheus_target_sync_failed_total\{scrape_job="self"\} ', 0),
    (r"prometheus_tsdb_head_chunks ", 50),
    (r"prometheus_tsdb_head_series ", 50),
    (r"prometheus_tsdb_head_samples_appended_total(?:\{[^}]*\})? ", 50),
    (r"prometheus_tsdb_clean_start ", 1),
    (r"prometheus_tsdb_wal_segment_current ", 0),
    (r"process_start_time_seconds ", 1.6e9),
)  # fmt: skip
# Of the interpreter and not of trimon.
FOREIGN = ("python_",)


def families(text: str) -> dict[str, tuple[str, str]]:
    """Type and labels of every family of a text format; the labels of its parts (`le`, `quantile`) are left out."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    labels: dict[str, set[str]] = {name: set() for name in types}
    for name, inner in re.findall(r"^([a-z_]+)(?:\{(.*)\})? ", text, re.MULTILINE):
        family = name if name in types else re.sub("_(sum|count|bucket)$", "", name)
        labels[family] |= set(re.findall(r'([a-z_]+)="', inner)) - {"le", "quantile"}
    return {name: (kind, " ".join(sorted(labels[name]))) for name, kind in types.items()}


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """/metrics of a server that has scraped itself, evaluated a rule and answered a query."""
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "rules.yml").write_text(RULES)
    with running(folder / "data", CONFIG.format(), "--web.enable-remote-write-receiver") as server:
        (folder / "targets.json").write_text(f'[{{"targets": ["127.0.0.1:{server.port}"]}}]')
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not _is_warm(server):
            time.sleep(0.1)
        return server.text("/metrics")[1]


def _is_warm(server: Server) -> bool:
    text = server.text("/metrics")[1]
    wanted = (
        r"interval_length_seconds_count\S* [1-9]",
        "tsdb_head_min_time",
        r"rule_group_rules\{",
        r"sync_length_seconds\{",
    )
    return bool(server.query("up")) and all(re.search(each, text) for each in wanted)


def test_what_dashboards_ask_for_is_there(exposed: str) -> None:
    """Every name of the Prometheus mixin whose subject exists is exposed."""
    assert [name for name in ASKED if name not in families(exposed)] == []


def test_what_the_mixin_selects_has_values(exposed: str) -> None:
    """What panels and alerts select is there with their labels, and is at least what a server at work has."""
    wrong = {}
    for pattern, least in SELECTED:
        values = [float(value) for value in re.findall(rf"^{pattern}(\S+)$", exposed, re.MULTILINE)]
        if not values or max(values) < least:
            wrong[pattern] = values
    assert wrong == {}


def test_what_is_not_there_yet_is_not_there(exposed: str) -> None:
    """The list of what the mixin asks for in vain is true: what comes goes over to the other list."""
    assert [name for name in NOT_YET if name in families(exposed)] == []


def test_actors_are_told_but_for_those_of_pools(exposed: str) -> None:
    """Mailboxes of actors have their fill and what was handled; a pool is one line, however many targets it has."""
    assert (
        float(
            re.findall(
                r'^trimon_actor_messages_total\{actor="trimon/storage"\} (\S+)$', exposed, re.MULTILINE
            )[0]
        )
        > 0
    )
    assert re.search(r'^trimon_actor_mailbox_messages\{actor="trimon/storage"\} \d', exposed, re.MULTILINE)
    assert re.search(r'^trimon_actor_restarts_total\{actor="trimon/web"\} 0', exposed, re.MULTILINE)
    assert re.search(
        r'^trimon_actor_pool_children\{actor="trimon/discovery/providers"\} 1', exposed, re.MULTILINE
    )
    assert "127.0.0.1" not in "".join(
        line for line in exposed.splitlines() if line.startswith("trimon_actor")
    )


def test_the_documented_metrics_are_those_exposed(exposed: str) -> None:
    """`docs/metrics.md` lists each family with its type and its labels, and none besides."""
    table = re.findall(
        r"^\| `([a-z_]+)` \| (\w+) \| (?:`([a-z_ ]*)`)? *\|",
        (ROOT / "docs/metrics.md").read_text(),
        re.MULTILINE,
    )
    documented = {name: (kind, labels) for name, kind, labels in table}
    there = {name: about for name, about in families(exposed).items() if not name.startswith(FOREIGN)}
    # A server without TLS has no certificate: the family has no sample that could show its label.
    bare = "trimon_web_certificate_expiry_timestamp_seconds"
    assert not re.search(f"^{bare}[ {{]", exposed, re.MULTILINE)
    there[bare] = (there[bare][0], "certificate")
    # Nor has one a refresh whose sources are files alone.
    refreshes = "prometheus_sd_refresh_duration_seconds"
    there[refreshes] = (there[refreshes][0], "config mechanism")
    # Nor an endpoint of remote read that never answered.
    client = "prometheus_remote_read_client_"
    there[client + "queries_total"] = ("counter", "code remote_name response_type url")
    there[client + "request_duration_seconds"] = ("histogram", "remote_name response_type url")
    assert documented == there


def test_summaries_have_quantiles(exposed: str) -> None:
    """Interval lengths have the quantiles that Prometheus' own have, near the interval that is configured."""
    found = re.findall(
        r'^prometheus_target_interval_length_seconds\{interval="200ms",quantile="([\d.]+)"\} (\S+)$',
        exposed,
        re.MULTILINE,
    )
    assert [quantile for quantile, _ in found] == ["0.01", "0.05", "0.5", "0.9", "0.99"]
    assert 0.1 < float(found[2][1]) < 0.4


def test_a_start_after_a_kill_is_not_clean(tmp_path: Path) -> None:
    """The gauge says how the last process ended: 1 at first and after a stop, 0 after a kill."""

    def clean(server: Server) -> float:
        (value,) = re.findall(
            r"^prometheus_tsdb_clean_start (\S+)$", server.text("/metrics")[1], re.MULTILINE
        )
        return float(value)

    with running(tmp_path / "data") as server:
        assert clean(server) == 1
        server.kill()
        server.start()
        assert clean(server) == 0
        server.stop()
        server.start()
        assert clean(server) == 1
