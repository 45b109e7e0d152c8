"""Differences of two configurations, for people."""

from __future__ import annotations

from pathlib import Path

from trimon.config.differences import NOT_SHOWN, Difference, differences
from trimon.config.load import load_text


def told(before: str, after: str) -> list[Difference]:
    """What differs in the main file."""
    one, other = (load_text(text, Path("/etc/p.yml")).main for text in (before, after))
    return differences(one, other)


def test_equal_texts_do_not_differ() -> None:
    """Comments, the order of fields and defaults that are spelled out do not count."""
    assert told("global: {}", "# word\nglobal: {scrape_interval: 1m}") == []


def test_fields_are_named_as_in_the_file() -> None:
    """Inner models by dotted names, entries of lists by their numbers; values as the file has them."""
    one = "scrape_configs: [{job_name: a, tls_config: {server_name: x}, scrape_interval: 60s}]"
    other = "scrape_configs: [{job_name: a, tls_config: {server_name: y}, scrape_interval: 90s}]"
    assert sorted(told(one, other), key=lambda each: each.field) == [
        Difference("scrape_configs[0].scrape_interval", "1m", "1m30s"),
        Difference("scrape_configs[0].tls_config.server_name", "x", "y"),
    ]


def test_secrets_are_not_shown() -> None:
    """That one changed is told, and neither of both is: a field, a password in a URL, an entry that comes."""
    text = "remote_write: [{{name: w, url: 'http://u:{0}@h/w', basic_auth: {{username: u, password: {0}}}}}]"
    found = told(text.format("first-hush"), text.format("second-hush"))
    assert [each.then for each in found] == [NOT_SHOWN, NOT_SHOWN]
    assert "hush" not in str(found)
    (come,) = told("rule_files: []", text.format("third-hush"))
    assert (come.field, come.now) == ("remote_write[0]", "")
    assert '"name": "w"' in come.then
    assert "third" not in come.then


def test_entries_that_come_and_go() -> None:
    """Lists of other lengths: what only one of them has. An absent section has no value."""
    rule = "{source_labels: [a], regex: x, action: drop}"
    one = f"alerting: {{alert_relabel_configs: [{rule}]}}"
    other = f"alerting: {{alert_relabel_configs: [{rule}, {{regex: b, action: labeldrop}}]}}"
    (come,) = told(one, other)
    assert (come.field, come.now) == ("alerting.alert_relabel_configs[1]", "")
    assert come.then == '{"regex": "b", "action": "labeldrop"}'
    (tracing,) = told("rule_files: []", "tracing: {endpoint: 'h:1'}")
    assert (tracing.field, tracing.now) == ("tracing", "")
    assert "h:1" in tracing.then
