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


def relabeled(*regexes: str) -> str:
    rules = ", ".join(f"{{regex: {regex}, action: labeldrop}}" for regex in regexes)
    return f"alerting: {{alert_relabel_configs: [{rules}]}}"


def test_an_entry_put_between_others_is_one_difference() -> None:
    """Entries behind it are the same as before, whatever their places; so are those around one that goes while one comes."""
    (come,) = told(relabeled("a", "b", "c"), relabeled("a", "x", "b", "c"))
    assert come.field == "alerting.alert_relabel_configs[1]"
    assert (come.now, '"x"' in come.then) == ("", True)
    gone, come = told(relabeled("a", "b", "c"), relabeled("b", "c", "d"))
    assert (gone.field, gone.then) == ("alerting.alert_relabel_configs[0]", "")
    assert (come.field, come.now) == ("alerting.alert_relabel_configs[2]", "")
    (changed,) = told(relabeled("a", "b", "c"), relabeled("a", "y", "c"))
    assert changed == Difference("alerting.alert_relabel_configs[1].regex", "b", "y")


def writers(*names: str, timeout: str = "30s") -> str:
    listed = ", ".join(f"{{name: {name}, url: 'http://h/{name}'}}" for name in names)
    return f"remote_write: [{listed}]".replace("name: b,", f"name: b, remote_timeout: {timeout},")


def test_entries_with_names_are_compared_by_them() -> None:
    """An entry that has moved and changed is changed, and not one that went and another that came."""
    found = told(writers("a", "b"), writers("x", "b", "a", timeout="10s"))
    assert [(each.field, each.now == "") for each in found] == [
        ("remote_write[0]", True),
        ("remote_write[1].remote_timeout", False),
    ]
    assert told(writers("a", "b"), writers("b", "a")) == [
        Difference("remote_write", "in one order", "in another order")
    ]


def test_long_lists_are_compared_without_places() -> None:
    """Thousands of entries are told apart in no time: those that only one list has."""
    names = [f"n{number}" for number in range(5000)]
    (come,) = told(relabeled(*names), relabeled("x", *names))
    assert come.field == "alerting.alert_relabel_configs[0]"
