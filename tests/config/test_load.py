"""Loading prometheus.yml: what is accepted, what is refused, with which words and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from trimon import limits
from trimon.config import (
    Config,
    StaticConfig,
    load,
    load_text,
)
from trimon.config.configuration import FlagDefaults
from trimon.config.discovery.file import FileSdConfig
from trimon.config.globs import expand_glob
from trimon.config.support import INERT
from trimon.errors import UserError


def read(text: str, **more: Any) -> Config:
    return load_text(text, "/etc/prometheus/prometheus.yml", **more)


def job(text: str) -> str:
    """A configuration with one job `a` that has more lines."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return f"scrape_configs:\n  - job_name: a\n{lines}"


def error_of(text: str) -> str:
    """Line, column and words; the words of a shape without the line in them."""
    with pytest.raises(UserError) as refused:
        read(text)
    place = refused.value.position
    prefix = "parsing YAML file /etc/prometheus/prometheus.yml: "
    assert refused.value.message.startswith(prefix)
    words = refused.value.message.removeprefix(prefix).replace("yaml: unmarshal errors:", "")
    words = words.replace(f"\n  line {place.line}: ", "", 1)
    assert place.file == "/etc/prometheus/prometheus.yml"
    return f"{place.line}:{place.column}: {words}"


@pytest.mark.parametrize("text", ["", "global:\n", "{}\n", "# nothing\n", "scrape_configs:\n"])
def test_an_empty_configuration_is_all_defaults(text: str) -> None:
    """No document, null sections and empty maps give Prometheus' defaults."""
    config = read(text)
    assert config.global_.scrape_interval == 60_000
    assert config.global_.scrape_timeout == 10_000
    assert config.global_.evaluation_interval == 60_000
    assert config.scrape_configs == ()
    assert config.storage.retention is not None
    assert config.storage.retention.time == 15 * 86_400_000


def test_a_job_inherits_from_global() -> None:
    """Intervals, protocols, limits and schemes come from global where the job says nothing."""
    config = read(
        "global: {scrape_interval: 30s, sample_limit: 7, label_limit: 9, body_size_limit: 1MB,\n"
        "  scrape_protocols: [PrometheusText0.0.4], extra_scrape_metrics: true}\n"
        + job("label_limit: 3\nscrape_interval: 5s")
    )
    a = config.scrape_configs[0]
    assert (a.scrape_interval, a.scrape_timeout) == (5_000, 5_000)
    assert (a.sample_limit, a.label_limit, a.body_size_limit) == (7, 3, 2**20)
    assert a.scrape_protocols == ("PrometheusText0.0.4",)
    assert a.extra_scrape_metrics
    assert (a.metrics_path, a.scheme, a.honor_timestamps, a.honor_labels) == ("/metrics", "http", True, False)


def test_a_job_may_switch_off_what_global_switches_on() -> None:
    """A given false is not an absent one."""
    config = read("global: {extra_scrape_metrics: true}\n" + job("extra_scrape_metrics: false"))
    assert not config.scrape_configs[0].extra_scrape_metrics


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo: 1", "1:1: field foo not found in type config.plain"),
        ("global:\n  scrape_intervall: 1s", "2:3: field scrape_intervall not found in type config.plain"),
        ("global: {}\nglobal: {}", "2:1: field global already set in type config.plain"),
        ("global: []", "1:9: cannot unmarshal !!seq into config.plain"),
        ("global: 3", "1:9: cannot unmarshal !!int `3` into config.plain"),
        ("global: {scrape_interval: 1x}", '1:27: unknown unit "x" in duration "1x"'),
        (
            "global: {scrape_interval: 5s, scrape_timeout: 6s}",
            "1:31: global scrape timeout greater than scrape interval",
        ),
        ("global: {sample_limit: -1}", "1:24: cannot unmarshal !!int `-1` into uint"),
        ("global: {sample_limit: abc}", "1:24: cannot unmarshal !!str `abc` into uint"),
        ("global: {external_labels: {a: x, a: y}}", '1:37: key "a" already set in map'),
        ("global: {scrape_protocols: []}", "1:10: scrape_protocols cannot be empty for global config"),
        (
            "global: {scrape_protocols: [PrometheusText0.0.4, PrometheusText0.0.4]}",
            "1:10: duplicated protocol in scrape_protocols, got [PrometheusText0.0.4 PrometheusText0.0.4] for global",
        ),
        (
            "global: {scrape_protocols: [x]}",
            "1:10: scrape_protocols: unknown scrape protocol x, supported: [OpenMetrics",
        ),
        ("scrape_configs:\n  -", "2:4: empty or null scrape config section"),
        ("scrape_configs:\n  - job_name: ''", "2:5: job_name is empty"),
        ("scrape_configs:\n  - scheme: http", "2:5: job_name is empty"),
        (
            "scrape_configs:\n  - job_name: a\n  - job_name: a",
            '3:5: found multiple scrape configs with job name "a"',
        ),
        (
            job("scrape_interval: 1s\nscrape_timeout: 2s"),
            '4:5: scrape timeout greater than scrape interval for scrape config with job name "a"',
        ),
        (job("honor_labels: maybe"), "3:19: cannot unmarshal !!str `maybe` into bool"),
        (job("static_configs: [{targets: [http://x]}]"), '3:23: "http://x" is not a valid hostname'),
        (job("static_configs: [{targets: x}]"), "3:32: cannot unmarshal !!str `x` into []string"),
        (job("static_configs: [null]"), "3:22: empty or null section in static_configs"),
        (
            job("relabel_configs: [null]"),
            "3:23: empty or null target relabeling rule in scrape config",
        ),
        (
            job("file_sd_configs: [{files: [x.txt]}]"),
            '3:32: path name "x.txt" is not valid for file discovery',
        ),
        (job("file_sd_configs: [{files: ['*/x.yml']}]"), '3:32: path name "*/x.yml" is not valid for'),
        (job("file_sd_configs: [{files: []}]"), "3:24: file service discovery config must contain at least"),
        (job("trimon_sd_configs: [{options: {a: 1}}]"), "3:25: plugin is missing"),
        (job("metric_name_validation_scheme: x"), "3:36: unrecognized ValidationScheme"),
        (
            job("metric_name_validation_scheme: legacy\nmetric_name_escaping_scheme: allow-utf-8"),
            "4:5: utf8 metric names requested but validation scheme is not set to UTF8",
        ),
        ("rule_files: ['*/x.yml']", '1:14: invalid rule file path "*/x.yml"'),
        ("scrape_config_files: ['*/x.yml']", '1:23: invalid scrape config file path "*/x.yml"'),
        (
            "storage: {tsdb: {retention: {percentage: 101}}}",
            "1:42: 'storage.tsdb.retention.percentage' must be",
        ),
        ("storage: {tsdb: {retention: {size: 1}}}", "1:36: units: unknown unit  in 1"),
        ("a: [", "2:1: yaml: line 1: did not find expected node content"),
        ("a: b: c", "1:5: yaml: mapping values are not allowed in this context"),
        (
            "global: !!python/object:os.system x",
            "1:9: cannot unmarshal !!python/object:os.system `x` into config.plain",
        ),
        ("global: {scrape_interval: !!int abc}", "1:27: yaml: cannot decode !!str `abc` as a !!int"),
        ("global: {sample_limit: !x 5}", "1:24: cannot unmarshal !x `5` into uint"),
        ("rule_files: &x [*x]", "1:17: yaml: anchor 'x' value contains itself"),
        ("rule_files: [*x]", "1:14: yaml: unknown anchor 'x' referenced"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str) -> None:
    """Errors have Prometheus' words, after file, line and column."""
    assert error_of(text).startswith(message)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{action: x}", 'unknown relabel action "x"'),
        ("{action: replace}", "relabel configuration for replace action requires 'target_label' value"),
        (
            "{action: hashmod, target_label: a}",
            "relabel configuration for hashmod requires non-zero modulus",
        ),
        (
            "{action: lowercase, target_label: a, replacement: x}",
            "'replacement' can not be set for lowercase action",
        ),
        (
            "{action: labeldrop, source_labels: [a]}",
            "labeldrop action requires only 'regex', and no other fields",
        ),
        (
            "{action: dropequal, source_labels: [a], target_label: b, regex: x}",
            "dropequal action requires only 'source_labels' and `target_label`, and no other fields",
        ),
        ("{regex: '(', target_label: a}", "error parsing regexp: missing closing ): `^(?s:()$`"),
        ("{target_labels: a}", "field target_labels not found in type relabel.plain"),
    ],
)
def test_a_bad_relabel_rule_is_refused(rule: str, message: str) -> None:
    """Each action has its own rules of what may stand beside it."""
    assert message in error_of(job(f"relabel_configs:\n  - {rule}"))


def test_relabel_rules_have_defaults_and_any_case() -> None:
    """The defaults are Prometheus', and actions are read in any case."""
    config = read(job("relabel_configs: [{action: Keep, regex: x}, {target_label: '$1_x'}]"))
    keep, replace = config.scrape_configs[0].relabel_configs
    assert (keep.action, keep.separator, keep.replacement, keep.regex) == ("keep", ";", "$1", "x")
    assert (replace.action, replace.regex, replace.source_labels) == ("replace", "(.*)", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "basic_auth: {username: a, username_file: b}",
            "basic_auth username, username_file & username_ref must be",
        ),
        (
            "basic_auth: {password: a, password_file: b}",
            "basic_auth password, password_file & password_ref must be",
        ),
        (
            "authorization: {credentials: a, credentials_file: b}",
            "at most one of authorization credentials &",
        ),
        (
            "authorization: {type: Basic}",
            'authorization type cannot be set to "basic", use "basic_auth" instead',
        ),
        ("bearer_token: a\nbearer_token_file: b", "at most one of bearer_token & bearer_token_file must be"),
        ("basic_auth: {username: a}\nbearer_token: b", "at most one of basic_auth, oauth2, bearer_token &"),
        (
            "basic_auth: {username: a}\nauthorization: {credentials: b}",
            "at most one of basic_auth, oauth2 & auth",
        ),
        ("authorization: {}\nbearer_token: b", "authorization is not compatible with bearer_token"),
        ("tls_config: {cert_file: a}", "exactly one of key or key_file must be configured when a client"),
        ("tls_config: {key_file: a}", "exactly one of cert or cert_file must be configured when a client"),
        ("tls_config: {min_version: TLS9}", "unknown TLS version: TLS9"),
        ("http_headers: {Authorization: {values: [x]}}", 'setting header "Authorization" is not allowed'),
        ("http_headers: {proxy-authorization: {}}", 'setting header "Proxy-Authorization" is not allowed'),
        ("no_proxy: x", "if no_proxy is configured, proxy_url must also be configured"),
        ("proxy_url: 'http://a:b:c'", "parse"),
    ],
)
def test_a_bad_http_client_block_is_refused(text: str, message: str) -> None:
    """The HTTP client block has one way of authorization and whole TLS pairs."""
    assert message in error_of(job(text))


@pytest.mark.parametrize(
    "text",
    [
        "basic_auth: {username: a, username_file: b}",
        "authorization: {type: Basic}",
        "authorization: {credentials: a, credentials_file: b}",
        "oauth2: {client_id: a}",
        "oauth2: {client_id: a, token_url: b, client_secret: c, client_secret_file: d}",
        "http_headers: {Authorization: {values: [x]}}",
        "bearer_token: a\nbearer_token_file: b",
    ],
)
def test_an_unknown_field_is_told_before_what_an_http_client_means(text: str) -> None:
    """What has the wrong shape anywhere in a section is told before credentials that do not go together, as in Prometheus."""
    message = error_of(job(f"{text}\nnonsense: 1"))
    assert "field nonsense not found in type config.ScrapeConfig" in message


@pytest.mark.parametrize(
    "text",
    [
        'http_headers: {X-A: {values: [fine, "hunter2\\nhv"]}}',
        'http_headers: {X-A: {secrets: ["hunter2\\r\\nX-Tok: hs"]}}',
        'authorization: {credentials: "hunter2\\n"}',
        'authorization: {type: "hunter2\\nX"}',
        'bearer_token: "hunter2\\0"',
    ],
)
def test_what_cannot_be_sent_in_a_header_is_refused(text: str) -> None:
    """Line breaks and control characters, each with its place and without the secret."""
    error = error_of(job(text))
    assert "value cannot be sent in a header: it has a" in error
    assert "hunter2" not in error
    assert error.startswith("3:")


def test_a_password_may_have_line_breaks() -> None:
    """It is sent in base64."""
    read(job('basic_auth: {username: "a\\n", password: "b\\n"}'))


def test_a_bearer_token_becomes_authorization() -> None:
    """The old fields mean the new one."""
    a = read(job("bearer_token: hunter2")).scrape_configs[0]
    assert a.authorization is not None
    assert (a.authorization.type, a.authorization.credentials.reveal()) == ("Bearer", "hunter2")
    b = read(job("bearer_token_file: secret/token")).scrape_configs[0]
    assert b.authorization is not None
    assert b.authorization.credentials_file == "/etc/prometheus/secret/token"


INERT_FRAMES: Final = {
    "config": "{}",
    "remote_write": "remote_write: [{{url: 'http://x', {}}}]",
    "tsdb": "storage: {{tsdb: {{{}}}}}",
    "basic_auth": "scrape_configs: [{{job_name: a, basic_auth: {{{}}}}}]",
    "authorization": "scrape_configs: [{{job_name: a, authorization: {{{}}}}}]",
    "tls_config": "scrape_configs: [{{job_name: a, tls_config: {{cert: x, key: y, {}}}}}]",
    "oauth2": "scrape_configs: [{{job_name: a, oauth2: {{client_id: i, token_url: 'http://x/', {}}}}}]",
}
INERT_VALUES: Final = {
    "stale_series_compaction_threshold": "1",
}


@pytest.mark.parametrize(
    ("section", "field"), [(section, field) for section, fields in INERT.items() for field in fields]
)
def test_what_nothing_acts_on_is_told_with_its_place(section: str, field: str) -> None:
    """A row of the table that a file asks for is in the loaded configuration; one that is null asks for nothing."""
    frame = INERT_FRAMES[section]
    if field in ("cert_ref", "key_ref"):
        frame = frame.replace("cert: x" if field == "cert_ref" else "key: y", "server_name: s")
    (found,) = read(frame.format(f"{field}: {INERT_VALUES.get(field, 'x')}")).unsupported
    assert (found.name, found.consequence) == (field, INERT[section][field])
    assert (found.place.line, found.place.file) == (1, "/etc/prometheus/prometheus.yml")
    if field not in ("cert_ref", "key_ref"):
        assert read(frame.format(f"{field}: null")).unsupported == ()


def test_an_error_of_ours_is_told_with_all_others() -> None:
    """A wrong value of a field that Prometheus does not have is in one message with unknown fields and wrong types."""
    text = (
        "global: {on_limit: never, evaluation_interval: [1]}\n"
        "scrape_configs:\n- job_name: a\n  foo: 1\n  on_limit: always\n  sample_limit: x\n"
        "  trimon_sd_configs:\n  - bar: 1\n"
    )
    with pytest.raises(UserError) as raised:
        read(text)
    lines = raised.value.message.splitlines()[1:]
    assert [line.partition(": ")[0] for line in lines] == [f"  line {n}" for n in (1, 1, 4, 5, 6, 8)]
    assert lines[3] == '  line 5: on_limit must be fail or keep_known, got "always"'
    assert [place.line for place in raised.value.places] == [1, 1, 4, 5, 6, 8]


def test_files_of_jobs_tell_what_nothing_acts_on(tmp_path: Path) -> None:
    """With the place in their own file, after what the main file has."""
    (tmp_path / "jobs.yml").write_text("scrape_configs: [{job_name: j, basic_auth: {username_ref: x}}]")
    main = tmp_path / "p.yml"
    main.write_text(
        "scrape_config_files: [jobs.yml]\nstorage: {tsdb: {stale_series_compaction_threshold: 1}}\n"
    )
    told = [(each.name, each.place.file) for each in load(main).unsupported]
    assert told == [
        ("stale_series_compaction_threshold", str(main)),
        ("username_ref", str(tmp_path / "jobs.yml")),
    ]


def test_the_file_of_the_prometheus_package_loads() -> None:
    """An alerting section without a target, as shipped in the package, asks for nothing."""
    config = read(
        "global:\n  scrape_interval: 15s\n"
        "alerting:\n  alertmanagers:\n    - static_configs:\n        - targets:\n          # - alertmanager:9093\n"
        "rule_files:\n  # - first_rules.yml\n" + job("static_configs:\n  - targets: ['localhost:9090']")
    )
    assert config.scrape_configs[0].static_configs == (StaticConfig(targets=("localhost:9090",)),)


def test_variables_are_expanded_in_external_labels_only() -> None:
    """$NAME, ${NAME} and $$ work in the values of external_labels; unset ones warn; nowhere else."""
    text = (
        "global:\n  external_labels: {a: 'x-${HOST}-$HOST', b: '$$5', c: '$NONE.', d: 'a$', e: '${}x'}\n"
        + job("static_configs: [{targets: ['$HOST:1']}]")
    )
    config = read(text, environment={"HOST": "h"})
    assert dict(config.global_.external_labels) == {"a": "x-h-h", "b": "$5", "c": ".", "d": "a$", "e": "x"}
    assert config.unset_variables == ("NONE",)
    assert config.scrape_configs[0].static_configs[0].targets == ("$HOST:1",)


def test_relative_paths_are_joined_to_the_file() -> None:
    """Secrets, certificates, rule and discovery files are relative to the file that names them."""
    config = read(
        "rule_files: [r.yml, /abs/r.yml]\n"
        + job(
            "file_sd_configs: [{files: [t/*.json]}]\n"
            "tls_config: {ca_file: ca.crt, cert_file: /abs/c, key_file: k}\n"
            "basic_auth: {username_file: u, password_file: p}"
        )
    )
    a = config.scrape_configs[0]
    assert config.main.rule_files == ("/etc/prometheus/r.yml", "/abs/r.yml")
    (source,) = a.discovery()
    assert isinstance(source, FileSdConfig)
    assert source.files == ("/etc/prometheus/t/*.json",)
    assert (a.tls_config.ca_file, a.tls_config.cert_file) == ("/etc/prometheus/ca.crt", "/abs/c")
    assert a.basic_auth is not None
    assert a.basic_auth.password_file == "/etc/prometheus/p"


def test_globs_and_scrape_config_files(tmp_path: Path) -> None:
    """Wildcards match in the last element; jobs of other files are added, and their errors name their file."""
    (tmp_path / "jobs").mkdir()
    for name in ("b", "a"):
        (tmp_path / "jobs" / f"{name}.yml").write_text(f"scrape_configs: [{{job_name: {name}}}]")
    (tmp_path / "r2.yml").write_text("")
    (tmp_path / "r1.yml").write_text("")
    main = tmp_path / "prometheus.yml"
    main.write_text(
        "global: {scrape_interval: 3s}\nrule_files: ['r*.yml', 'none*.yml']\nscrape_config_files: ['jobs/*.yml']\n"
        "scrape_configs: [{job_name: m}]"
    )
    config = load(main)
    assert [job.job_name for job in config.scrape_configs] == ["m", "a", "b"]
    assert {job.scrape_interval for job in config.scrape_configs} == {3000}
    assert [path.name for path in config.rule_paths()] == ["r1.yml", "r2.yml"]
    (tmp_path / "jobs" / "a.yml").write_text("scrape_configs: [{job_name: m}]")
    problem = load(main).scrape_files_error
    assert problem is not None
    assert str(problem).endswith(
        'found multiple scrape configs with job name "m", first found in main config file'
    )
    assert (Path(problem.position.file).name, problem.position.line) == ("a.yml", 1)
    (tmp_path / "jobs" / "a.yml").write_text("global: {}")
    assert "field global not found in type config.ScrapeConfigs" in str(load(main).scrape_files_error)
    assert [job.job_name for job in load(main).scrape_configs] == ["m"]


@pytest.mark.parametrize(
    "bomb",
    [
        "{" * 100_000,
        "- " * 100_000 + "x",
        "? " * 50_000,
        "a:\n" + "\n".join(" " * depth + "a:" for depth in range(1, 5_000)),
        "[" * 200 + "]" * 200,
    ],
)
def test_absurd_nesting_is_refused(bomb: str) -> None:
    """Deep nesting is an error with a place and not the end of the process."""
    with pytest.raises(UserError, match=r"nested deeper than 100 levels|yaml: "):
        read(bomb)


def test_aliases_do_not_explode() -> None:
    """A document that grows without bound through aliases is refused; ordinary anchors and merges work."""
    lines = ["x0: &x0 {a: 1}"] + [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 12)]
    bomb = job("trimon_sd_configs:\n  - plugin: x\n    options:\n      " + "\n      ".join(lines))
    with pytest.raises(UserError, match=r"nodes, aliases counted each time"):
        read(bomb)
    config = read(
        "scrape_configs:\n  - &base {job_name: a, scrape_interval: 7s}\n  - {<<: *base, job_name: b}\n"
    )
    assert [(job.job_name, job.scrape_interval) for job in config.scrape_configs] == [
        ("a", 7000),
        ("b", 7000),
    ]


def test_names_are_checked_under_the_legacy_scheme() -> None:
    """With metric_name_validation_scheme legacy, names that rules make are ASCII identifiers; escaping follows."""
    legacy = "global: {metric_name_validation_scheme: legacy}\n"
    a = read(legacy + job("")).scrape_configs[0]
    assert (a.metric_name_validation_scheme, a.metric_name_escaping_scheme) == ("legacy", "underscores")
    assert "invalid 'target_label'" in error_of(legacy + job("relabel_configs: [{target_label: 'a.b'}]"))
    read(job("relabel_configs: [{target_label: 'a.b'}]"))


def test_null_is_the_zero_value() -> None:
    """`field: ~` is not the default but the empty value of the field's kind, as in Prometheus."""
    a = read(job("honor_timestamps: ~\nmetrics_path: ~\nrelabel_configs: [{target_label: x, regex: ~}]"))
    found = a.scrape_configs[0]
    assert (found.honor_timestamps, found.metrics_path, found.relabel_configs[0].regex) == (False, "", "")


def test_a_second_document_is_not_read() -> None:
    """Only the first document of a file counts, whatever comes after it."""
    config = read("global: {scrape_interval: 7s}\n---\nfoo: [")
    assert config.global_.scrape_interval == 7_000


def test_what_a_job_says_of_histograms_is_inherited() -> None:
    """Jobs take the flags of the global section unless they have their own, and ask for protobuf first with native ones."""
    text = (
        "global: {scrape_native_histograms: true, always_scrape_classic_histograms: true}\n"
        "scrape_configs:\n- job_name: a\n- job_name: b\n  scrape_native_histograms: false\n"
        "- job_name: c\n  scrape_protocols: [PrometheusText0.0.4]\n  convert_classic_histograms_to_nhcb: true\n"
    )
    a, b, c = load_text(text, "p.yml").scrape_configs
    assert (a.scrape_native_histograms, b.scrape_native_histograms) == (True, False)
    assert (a.scrape_protocols[0], b.scrape_protocols[0]) == ("PrometheusProto", "OpenMetricsText1.0.0")
    assert c.scrape_protocols == ("PrometheusText0.0.4",)
    assert (b.convert_classic_histograms_to_nhcb, c.convert_classic_histograms_to_nhcb) == (False, True)
    assert b.always_scrape_classic_histograms


@pytest.mark.parametrize("room", ["scrape_configs:\n- job_name: a\n  ", "alerting:\n  alertmanagers:\n  - "])
def test_static_targets_have_limits(room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More targets than one discovery may have, or a label that no target may have, are refused where they stand."""
    monkeypatch.setattr(limits, "TARGETS_PER_PUBLISH_MAX", 3)
    monkeypatch.setattr(limits, "LABEL_VALUE_BYTES_MAX", 20)
    monkeypatch.setattr(limits, "LABELS_PER_SERIES_MAX", 2)
    text = (
        room
        + "static_configs:\n    - {targets: [a, b]}\n    - {targets: [c]}\n    - {labels: {x: y, z: y}}\n"
    )
    read(text)
    line = text.count("\n") + 1
    for more, wrong in (
        ("targets: [d]", "4 targets in static_configs exceed the limit of 3"),
        ("labels: {a: b, c: d, e: f}", "3 labels exceed the limit of 2"),
        (f"labels: {{a: {'b' * 21}}}", 'the value of label "a" has 21 characters, at most 20 are allowed'),
    ):
        assert error_of(f"{text}    - {{{more}}}\n") == f"{line}:8: {wrong}"
    long = text.replace("[c]", "[]") + f"    - {{targets: [{'d' * 21}]}}\n"
    assert error_of(long) == f"{line}:8: an address has 21 characters, at most 20 are allowed"


def test_a_file_that_cannot_be_named_is_not_there() -> None:
    """A path with a NUL is told as one that cannot be opened, in patterns as one that nothing matches."""
    with pytest.raises(UserError, match=r"open /no.where: invalid argument"):
        load("/no\0where")
    for pattern in ('"/no\\0where"', '"/no\\0where/*.yml"', '"/tmp/\\0*.yml"'):
        config = read(f"rule_files: [{pattern}]\nscrape_config_files: [{pattern}]\n")
        assert (config.scrape_paths, config.rule_paths()) == ((), ())


@pytest.mark.parametrize("pattern", ["**.yml", "a**.yml", "**", "***l"])
def test_several_stars_match_what_one_does(pattern: str, tmp_path: Path) -> None:
    """As in Go; directories are not looked into."""
    (tmp_path / "a.yml").write_text("scrape_configs: []\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.yml").write_text("")
    config = read(f"scrape_config_files: ['{tmp_path}/{pattern}']")
    assert config.scrape_paths == (tmp_path / "a.yml",)


def test_files_are_named_as_the_configuration_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that is named by a relative path names its files by relative ones, as in Prometheus."""
    (tmp_path / "conf").mkdir()
    for directory in (tmp_path, tmp_path / "conf"):
        (directory / "prometheus.yml").write_text("rule_files: [rules.yml, ../up.yml, /abs.yml]\n")
    monkeypatch.chdir(tmp_path)
    assert load(Path("prometheus.yml")).main.rule_files == ("rules.yml", "../up.yml", "/abs.yml")
    assert load(Path("conf/prometheus.yml")).main.rule_files == ("conf/rules.yml", "up.yml", "/abs.yml")
    whole = load(tmp_path / "prometheus.yml").main.rule_files
    assert whole == (f"{tmp_path}/rules.yml", f"{tmp_path.parent}/up.yml", "/abs.yml")


def test_what_only_a_request_can_tell_is_taken() -> None:
    """As Prometheus: a proxy without a scheme, a scheme that nobody speaks; the request says what is wrong."""
    config = read(job("proxy_url: localhost:1000\nscheme: asdf\nstatic_configs: [{targets: [a:1]}]"))
    assert config.scrape_configs[0].scheme == "asdf"
    assert config.scrape_configs[0].proxy_url.reveal() == "localhost:1000"


def test_a_class_of_a_pattern_is_negated_as_go_has_it(tmp_path: Path) -> None:
    """`[^a]` is what is no `a`."""
    for name in ("a.yml", "b.yml", "^.yml"):
        (tmp_path / name).write_text("")
    assert [path.name for path in expand_glob(f"{tmp_path}/[^a].yml")] == ["^.yml", "b.yml"]


@pytest.mark.parametrize(
    "section",
    [
        "rule_files: [x.yml]",
        "remote_read: [{url: http://x}]",
        "alerting: {alertmanagers: [{static_configs: [{targets: [x]}]}]}",
        "trimon_query_backends: [{url: http://x}]",
        "trimon_block_shipper: {bucket: blocks, endpoint: http://x, labels: {a: b}}",
    ],
)
def test_an_agent_refuses_what_it_would_not_do(section: str) -> None:
    """What needs rules, queries or blocks is an error of an agent that names field and place, and none of a server."""
    text = f"global: {{}}\n{section}\n"
    load_text(text, "p.yml")
    name = section.partition(":")[0]
    with pytest.raises(UserError, match=f"field {name} is not allowed in agent mode") as error:
        load_text(text, "p.yml", defaults=FlagDefaults(agent=True))
    assert error.value.position is not None
    assert error.value.position.line == 2


def test_an_agent_takes_what_is_pushed() -> None:
    """Receivers store samples, which an agent sends on."""
    text = "trimon_receivers: {graphite: {}, statsd: {}, influx: {}, pushgateway: {}}\n"
    assert (
        load_text(text, "p.yml", defaults=FlagDefaults(agent=True)).main.trimon_receivers.graphite is not None
    )
