"""URLs of targets, as Go writes them; the expectations are what Go's net/url makes of these hosts and paths."""

from __future__ import annotations

import pytest

from trimon.config import load_text
from trimon.scrape.target import Target, build_target
from trimon.server.jobs import pool_options

OPTIONS = pool_options(load_text("scrape_configs: [{job_name: j}]", "/p.yml").scrape_configs[0])


def built(**labels: str) -> Target:
    found = build_target({"__address__": "h:1", **labels}, OPTIONS)
    assert isinstance(found, Target)
    return found


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("a b:1", "a%20b:1"),
        ("hé:1", "h%C3%A9:1"),
        ("[fe80::1%eth0]:9100", "[fe80::1%25eth0]:9100"),
        ("[fe80::1%25eth0]:9100", "[fe80::1%2525eth0]:9100"),
        ("h%41:1", "h%2541:1"),
        ("<nil>:80", "<nil>:80"),
        ("h?x:1", "h%3Fx:1"),
        ("h#x:1", "h%23x:1"),
        ('a"b:1', 'a"b:1'),
        ("a|b^{c}`\\:1", "a%7Cb%5E%7Bc%7D%60%5C:1"),
        ("a,b;c=d!$&'()*+", "a,b;c=d!$&'()*+"),
        ("\x01:1", "%01:1"),
    ],
)
def test_hosts_are_escaped(address: str, host: str) -> None:
    """`instance` stays what was discovered."""
    target = built(__address__=address)
    assert target.url == f"http://{host}/metrics"
    assert dict(target.labels)["instance"] == address


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/a b%20é", "/a%20b%2520%C3%A9"),
        ("*", "/*"),
        ("m", "/m"),
        ("//x", "//x"),
        ("/[x]!'()*", "/%5Bx%5D%21%27%28%29%2A"),
        ('/a?b#c"<>|\\^`{}', "/a%3Fb%23c%22%3C%3E%7C%5C%5E%60%7B%7D"),
        ("/$&+,:;=@", "/$&+,:;=@"),
    ],
)
def test_paths_are_escaped(path: str, written: str) -> None:
    """What has a meaning in a path stays."""
    assert built(__metrics_path__=path).url == f"http://h:1{written}"


def test_a_password_in_an_address_is_masked() -> None:
    """Although it is part of a host that nobody can reach."""
    target = built(__address__="u:hide@me-please@h:1")
    assert target.url == "http://u:hide%40me-please%40h:1/metrics"
    assert target.shown_url == "http://u:xxxxx@h:1/metrics"
