"""Plans of configurations, by the real server."""

from __future__ import annotations

import json
import math
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.commandline import run_trimon
from tests.support.planned_server import RULES, await_up, configuration, post
from tests.support.process import Server, running
from trimon.config.load import load_text
from trimon.query.language.options import QueryOptions
from trimon.server.configuration import with_rules


def planned(server: Server, text: str) -> Any:
    """The plan of a text."""
    answer = post(server, "/api/v1/config/plan", text)
    assert answer["status"] == "success", answer
    return answer["data"]


def with_job(text: str, fields: str) -> str:
    """The configuration with more fields in its job."""
    return text.replace("metrics_path:", f"{fields}, metrics_path:")


def test_every_section_that_differs_is_told(server: Server, target: str) -> None:
    """Also those that are no jobs and no rules, field by field; that a shorter retention deletes data is said loudly."""
    text = (
        configuration(target).replace(
            "evaluation_interval: 1s", "evaluation_interval: 2s, query_log_file: q.log"
        )
        + "storage: {tsdb: {retention: {time: 1h}, out_of_order_time_window: 10m}}\n"
        + "tracing: {endpoint: 'localhost:4317'}\n"
        + "runtime: {gogc: 50}\n"
        + "otlp: {promote_resource_attributes: [a]}\n"
        + "remote_write: [{url: 'http://user:hidden-word@localhost:1/w', name: w}]\n"
        + "remote_read: [{url: 'http://localhost:1/r'}]\n"
        + "scrape_config_files: [none/*.yml]\n"
        + "alerting: {alertmanagers: [{static_configs: [{targets: ['localhost:1']}]}]}\n"
    )
    plan = planned(server, text)
    sections = {section["section"]: section for section in plan["sections"]}
    assert set(sections) == {
        "global",
        "runtime",
        "alerting",
        "scrape_config_files",
        "storage",
        "tracing",
        "remote_write",
        "remote_read",
        "otlp",
    }
    assert plan["changes"] is True
    told = {each["field"]: (each["now"], each["then"]) for each in sections["storage"]["fields"]}
    assert told == {
        "storage.tsdb.out_of_order_time_window": ("0s", "10m"),
        "storage.tsdb.retention.time": ("15d", "1h"),
    }
    assert sections["storage"]["warnings"] == ["retention is shorter: data older than 1h is DELETED"]
    told = {each["field"]: (each["now"], each["then"]) for each in sections["global"]["fields"]}
    assert told.pop("global.query_log_file")[1].endswith("q.log")
    assert told == {"global.evaluation_interval": ("1s", "2s")}
    assert "hidden-word" not in json.dumps(plan)
    vain = {each.partition(" ")[0] for each in plan["unsupported"]}
    assert "runtime" in vain


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("sample_limit: 2", "sample limit exceeded"),
        ("exposed_sample_limit: 2", "exposed_sample_limit exceeded"),
        ("label_limit: 1", "label_limit exceeded"),
        ("label_value_length_limit: 3", "label_value_length_limit exceeded"),
        ("metric_name_limit: 2", "metric_name_limit exceeded"),
        ("body_size_limit: 5B", "body size limit exceeded"),
        ("target_limit: 0, sample_limit: 1", "sample limit exceeded"),
    ],
)
def test_limits_that_would_be_exceeded_are_told(
    server: Server, target: str, fields: str, reason: str
) -> None:
    """A limit that the last scrape breaks: the target would fail, and has no series."""
    (job,) = planned(server, with_job(configuration(target), fields))["jobs"]
    assert job["wouldFail"]["count"] == 1
    (failing,) = job["wouldFail"]["targets"]
    assert failing["target"] == f"http://{target}/metrics"
    assert reason in failing["reason"]
    assert job["series"] == {"now": 3, "then": 0}


def test_limits_that_hold_are_no_matter(server: Server, target: str) -> None:
    """A limit that is kept changes no series; one on targets fails them all."""
    (job,) = planned(server, with_job(configuration(target), "sample_limit: 3, label_limit: 3"))["jobs"]
    assert (job["wouldFail"]["count"], job["series"]) == (0, {"now": 3, "then": 3})
    assert {each["field"] for each in job["fields"]} == {"sample_limit", "label_limit"}
    text = with_job(configuration(target, "127.0.0.1:1"), "target_limit: 1")
    (job,) = planned(server, text)["jobs"]
    assert job["wouldFail"]["count"] == 2


def test_a_limit_on_new_targets_is_not_known(server: Server, target: str) -> None:
    """A target that was never scraped may or may not keep within a limit: that is said."""
    (job,) = planned(server, with_job(configuration(target, "127.0.0.1:1"), "sample_limit: 10"))["jobs"]
    assert "targets of which it is not known whether they keep within the limits: 1" in job["notes"]


def test_other_labels_are_shown_with_what_ends(server: Server, target: str) -> None:
    """A target whose labels change neither comes nor goes: its series end and begin anew."""
    text = configuration(target).replace("static_configs: [{", "static_configs: [{labels: {env: prod}, ")
    (job,) = planned(server, text)["jobs"]
    assert (job["gained"]["count"], job["lost"]["count"], job["relabeled"]["count"]) == (0, 0, 1)
    (one,) = job["relabeled"]["targets"]
    assert one["now"] == {"instance": target, "job": "j"}
    assert one["then"] == {"env": "prod", "instance": target, "job": "j"}
    assert one["series"] == 3
    assert job["series"] == {"now": 3, "then": 3}


def test_a_target_that_moves_to_another_job_is_known(server: Server, target: str) -> None:
    """Its series are predicted from the job that scrapes it now."""
    jobs = {job["job"]: job for job in planned(server, configuration(target, job="other"))["jobs"]}
    assert jobs["j"]["change"] == "removed"
    assert jobs["other"]["series"] == {"now": 0, "then": 3}
    assert jobs["other"]["notes"] == [
        "targets that job j scrapes now, by whose last scrapes series are predicted: 1"
    ]


def test_other_metric_relabeling_is_tried_on_the_last_body(server: Server, target: str) -> None:
    """Series that the rules drop are not counted."""
    rules = "metric_relabel_configs: [{source_labels: [__name__], regex: 'a|b', action: drop}]"
    (job,) = planned(server, with_job(configuration(target), rules))["jobs"]
    assert job["series"] == {"now": 3, "then": 1}
    assert job["notes"] == []


def test_a_rule_that_changes_is_shown(server: Server, target: str) -> None:
    """Which rule, and from what to what."""
    file = server.config.parent / "rules.yml"
    before = file.read_text()
    file.write_text(before.replace("expr: 'up'", "expr: 'up == 1', labels: {a: b}"))
    try:
        plan = planned(server, configuration(target))
    finally:
        file.write_text(before)
    (group,) = plan["ruleGroups"]
    (rule,) = group["changedRules"]
    assert (rule["rule"], rule["type"], rule["change"]) == ("r", "recording", "changed")
    assert rule["fields"] == [
        {"field": "expr", "now": "up", "then": "up == 1"},
        {"field": "labels.a", "now": "", "then": "b"},
    ]


def test_errors_name_the_file_that_was_given(server: Server, tmp_path: Path) -> None:
    """The server's own file is not at fault."""
    file = tmp_path / "mine.yml"
    file.write_text("global: {scrape_interval: nonsense}\n")
    for command in ("plan", "apply"):
        ran = run_trimon("config", command, file, "--server", server.url)
        assert ran.exit_code == 1
        assert str(file) in ran.stderr
        assert server.config.name not in ran.stderr
    answer = post(server, "/api/v1/config/plan", file.read_text())
    assert "(request body)" in answer["error"]
    assert server.config.name not in answer["error"]
    answer = post(server, "/api/v1/config/plan?name=%0a", file.read_text())
    assert answer["error"] == "name has at most 1024 characters, all printable"


@pytest.mark.parametrize("body", ["", "\n", "# only words\n---\n", "null"])
def test_an_empty_body_is_refused(server: Server, body: str) -> None:
    """It removes everything, and is most often a mistake."""
    before = server.config.read_text()
    for path in ("plan", "apply"):
        answer = post(server, f"/api/v1/config/{path}", body)
        assert answer["errorType"] == "bad_data"
        assert "holds no configuration" in answer["error"]
    assert server.config.read_text() == before


def test_that_all_jobs_go_is_said_first(server: Server, tmp_path: Path) -> None:
    """A plan that leaves no job and no rule warns of that."""
    file = tmp_path / "none.yml"
    file.write_text("scrape_configs: []\n")
    ran = run_trimon("config", "plan", file, "--server", server.url)
    assert ran.stdout.startswith("WARNING: ALL jobs go, 1 of 1: none is left\nWARNING: ALL rule groups go")


def test_bad_rule_files_say_who_knows_more(server: Server, target: str) -> None:
    """What the file holds is not quoted; the command that may is named."""
    (server.config.parent / "bad.yml").write_text("groups: [{name: g, rules: [{record: r, expr: '1 +'}]}]\n")
    answer = post(server, "/api/v1/config/plan", configuration(target, rules="bad.yml"))
    assert "bad.yml:1:" in answer["error"]
    assert answer["error"].endswith("; `trimon check rules` on the server's machine says why")


def test_the_plan_in_lines(server: Server, target: str, tmp_path: Path) -> None:
    """All that changes is in the lines of the command."""
    text = configuration(target).replace("static_configs: [{", "static_configs: [{labels: {env: prod}, ")
    file = tmp_path / "new.yml"
    file.write_text(with_job(text, "sample_limit: 2") + "storage: {tsdb: {retention: {time: 1h}}}\n")
    ran = run_trimon("config", "plan", file, "--server", server.url)
    url = f"http://{target}/metrics"
    labels = f'{{instance="{target}", job="j"}} -> {{env="prod", instance="{target}", job="j"}}'
    assert ran.stdout.splitlines() == [
        "job j: changed, targets 1 -> 1, series 3 -> 0",
        f"  ~ {url} {labels}: its 3 series end and begin anew",
        "  WARNING: by their last scrapes, 1 of 1 targets would fail",
        f"  ! {url}: sample limit exceeded",
        "  sample_limit: 0 -> 2",
        "storage: changed",
        "  storage.tsdb.retention.time: 15d -> 1h",
        "  WARNING: retention is shorter: data older than 1h is DELETED",
    ]


def test_a_plan_says_what_would_change(server: Server, target: str) -> None:
    """Targets gained and lost, series, rule groups; the server goes on as it was, and so does the file."""
    before = server.config.read_text()
    (server.config.parent / "more.yml").write_text(RULES.replace("name: g", "name: h"))
    text = configuration(target, "127.0.0.1:1", rules="'*.yml'").replace(
        "scrape_configs: [", "scrape_configs: [{job_name: file, file_sd_configs: [{files: ['x.json']}]}, "
    )
    text = text.replace("rule_files: ['*.yml']", "rule_files: [rules.yml, more.yml]")
    plan = post(server, "/api/v1/config/plan", text)["data"]
    assert plan["changes"] is True
    known, changed = sorted(plan["jobs"], key=lambda job: job["job"])
    assert (known["job"], known["change"], known["targets"]) == ("file", "added", {"now": 0, "then": None})
    assert changed["change"] == "changed"
    assert changed["targets"] == {"now": 1, "then": 2}
    assert changed["series"] == {"now": 3, "then": 6}
    assert changed["gained"] == {"count": 1, "targets": ["http://127.0.0.1:1/metrics"]}
    assert changed["lost"] == {"count": 0, "targets": []}
    (group,) = plan["ruleGroups"]
    assert (group["group"], group["change"], group["rules"]) == ("h", "added", {"now": 0, "then": 1})
    assert server.config.read_text() == before
    assert len(server.get("/api/v1/targets")["data"]["activeTargets"]) == 1
    assert post(server, "/api/v1/config/plan", before)["data"]["changes"] is False


def test_files_that_a_text_names_are_not_quoted(server: Server, target: str, tmp_path: Path) -> None:
    """Whoever plans names files that only the server may read: their content is in no answer."""
    secret = tmp_path / "shadow"
    secret.write_text("root:$6$salt$hash:20228:0:99999:7:::\ndaemon:*:20228:0:99999:7:::\n")
    text = configuration(target) + f"scrape_config_files: ['{secret}']\n"
    for path in ("plan", "apply"):
        answer = post(server, f"/api/v1/config/{path}", text)
        assert (
            answer["error"] == f'"{secret}": line 1: the file cannot be taken, `trimon check config` says why'
        )


def test_a_plan_names_files_that_are_none(tmp_path: Path) -> None:
    """A device or a pipe among the rule files is an error of the plan, and of the check, and not passed over."""
    pipe = tmp_path / "pipe.yml"
    os.mkfifo(pipe)
    with running(tmp_path / "data", "{}", "--web.enable-lifecycle") as server:
        for path in ("/dev/zero", str(pipe)):
            request = urllib.request.Request(
                f"{server.url}/api/v1/config/plan", data=f"rule_files: ['{path}']".encode()
            )
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=20)
            assert caught.value.code == 400
            assert "rule files cannot be loaded" in caught.value.read().decode()


def test_a_pipe_that_a_pattern_finds_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule file or a scrape config file is no pipe: it is refused without waiting for who feeds it. A null device is."""
    monkeypatch.setattr("trimon.limits.PIPE_READ_S", math.inf)  # whoever waited would wait for ever
    pipe = tmp_path / "pipe.yml"
    os.mkfifo(pipe)
    main = tmp_path / "prometheus.yml"
    config = load_text("rule_files: ['*pe.yml']\nscrape_config_files: ['*pe.yml']\n", main)
    assert config.scrape_files_error is not None
    refused = f"open {pipe}: it is a pipe, not a regular file"
    assert config.scrape_files_error.message == f'"{pipe}": {refused}'
    error = with_rules(config, QueryOptions()).rules_error
    assert error is not None
    assert refused in error.at_start
    empty = load_text("rule_files: [/dev/null]\nscrape_config_files: [/dev/null]\n", main)
    assert (empty.scrape_files_error, with_rules(empty, QueryOptions()).rules_error) == (None, None)


def test_without_bodies_the_counts_must_do(tmp_path: Path, target: str) -> None:
    """Limits on samples and sizes are held against the last scrape; what needs the body is said to be unknown."""
    text = configuration(target, rules=str(tmp_path / "none.yml"))
    flags = ("--web.enable-lifecycle", "--no-scrape.keep-bodies")
    with running(tmp_path / "data", text, *flags) as server:
        await_up(server)
        for fields in ("sample_limit: 2", "exposed_sample_limit: 2", "body_size_limit: 5B"):
            (job,) = planned(server, with_job(text, fields))["jobs"]
            assert job["wouldFail"]["count"] == 1, fields
            assert job["series"]["then"] == 0
        (job,) = planned(server, with_job(text, "sample_limit: 2, on_limit: keep_known"))["jobs"]
        assert (job["wouldFail"]["count"], job["series"]["then"]) == (0, 2)
        (job,) = planned(server, with_job(text, "label_limit: 1"))["jobs"]
        assert (job["wouldFail"]["count"], job["series"]["then"]) == (0, 3)
        assert job["notes"] == ["targets of which it is not known whether they keep within the limits: 1"]
        rules = "metric_relabel_configs: [{source_labels: [__name__], regex: a, action: drop}]"
        (job,) = planned(server, with_job(text, rules))["jobs"]
        assert job["series"]["then"] == 3
        assert job["notes"] == [
            (
                "metric_relabel_configs are others, and of 1 targets no body was at hand to try them on: "
                "their series are counted as they are now"
            )
        ]
