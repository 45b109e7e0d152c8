"""The server's address for people elsewhere: what the flags say, and what becomes of targets' URLs."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.web_world import web_world
from tests.web.test_requests import API, asked
from trimon.cli.server.commandline import read_command_line
from trimon.cli.server.serveroptions import check_flags, listen_addresses, warn_of_missing, web_options
from trimon.errors import UserError
from trimon.log import LogBuffer
from trimon.redaction import redacted
from trimon.web.context import WebOptions
from trimon.web.externalurl import ExternalUrl


@pytest.mark.parametrize(
    ("url", "asked_for", "prefix"),
    [
        ("http://x/", "", ""),
        ("http://x", "", ""),
        ("http://x/prom", "", "/prom"),
        ("http://x/prom/", "", "/prom"),
        ("http://x/a/b/?foo", "", "/a/b"),
        ("http://x/a%20b", "", "/a b"),
        ("/prom/", "", "/prom"),
        ("x.y/prom", "", "/x.y/prom"),
        ("http://[::1]:9090/a", "", "/a"),
        ("http://x/prom", "/", ""),
        ("http://x/prom", "q/", "/q"),
        ("http://x/prom", "//q/r//", "/q/r"),
    ],
)
def test_prefixes(url: str, asked_for: str, prefix: str) -> None:
    """The routes stand below the URL's path, unescaped, unless another prefix is asked for."""
    external = ExternalUrl(url)
    external.check()
    assert external.prefix(asked_for) == prefix


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://u:hunter2@h:1/p/?q=a@b", "https://h:1/p/?q=a@b"),
        ("https://u@h/", "https://h/"),
        ("https://u:hun@ter2@h/", "https://h/"),
        ("//u:hunter2@h/p", "//h/p"),
        ("https://[::1]:9/a@b", "https://[::1]:9/a@b"),
        ("/prom/a@b", "/prom/a@b"),
    ],
)
def test_links_have_no_user_and_no_password(url: str, link: str) -> None:
    """What stands before the host's @ is left out, and nothing else."""
    external = ExternalUrl(url)
    assert external.without_userinfo().url == link
    assert external.has_userinfo == (url != link)
    assert not external.without_userinfo().has_userinfo


@pytest.mark.parametrize(
    ("flag", "url"),
    [
        ("", "http://127.0.0.1:9090"),
        ("http://mon.example:9/", "http://mon.example:9"),
        ("http://mon.example:9/x/", "http://mon.example:9/x"),
        ("http://me:hunter22@h/x/", "http://h/x"),
        ("/x/", "/x"),
        ("x/", "/x"),
    ],
)
def test_links_begin_with_it(flag: str, url: str) -> None:
    """What alerts, templates and backtests see of the flag has no slash at the end: paths are put behind it."""
    flags = read_command_line([f"--web.external-url={flag}"])
    assert web_options(flags, "127.0.0.1:9090", [("127.0.0.1", 9090)]).external.url == url


def test_a_folder_of_assets_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A typo in the flag would else be a 404 that nobody understands."""
    for folder, told in ((tmp_path, False), (tmp_path / "none", True)):
        log = LogBuffer()
        warn_of_missing(read_command_line([f"--web.user-assets={folder}"]), log)
        assert ("--web.user-assets" in str(log.entries)) is told


def test_a_password_in_the_flag_stays_in_the_process() -> None:
    """The server's options have the URL without it, and the start warns."""
    flags = read_command_line(["--web.external-url=http://u:hunter22@h:1/p"])
    options, log = web_options(flags, "127.0.0.1:9090", [("127.0.0.1", 9090)]), LogBuffer()
    assert options.external.url == "http://h:1/p"
    check_flags(flags, log)
    (line,) = [line for line in log.entries if "external-url" in str(line)]
    assert "hunter22" not in str(line)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://h:x/", "Port could not be cast"),
        ("http://h:99999/", "Port out of range"),
        ('"http://h/"', "must not begin or end with quotes"),
        ("http://h/'", "must not begin or end with quotes"),
        ("http://h/%zz", "invalid URL escape"),
        ("http://h/%4", "invalid URL escape"),
        ("http://[::1/", "Invalid IPv6 URL"),
    ],
)
def test_what_is_no_url(url: str, reason: str) -> None:
    """It is refused when the server starts, in one line."""
    with pytest.raises(UserError, match=reason) as refusal:
        ExternalUrl(url).check()
    assert str(refusal.value).startswith(f'parse external URL "{url}": ')


def test_its_password_is_in_no_text() -> None:
    """What sends our URL back, as Alertmanagers may, sends a text without the password in it."""
    ExternalUrl("http://me:pass%2Dof-mine@x/").check()
    assert redacted("bad: http://me:pass%2Dof-mine@x/graph, pass-of-mine") == (
        "bad: http://me:<secret>@x/graph, <secret>"
    )


# What Prometheus answers, listening on 9099.
TARGETS = [
    ("http://127.0.0.1:080/metrics", "http://ext:080/metrics"),
    ("http://::1/metrics", "http://::1/metrics"),
    ("http://LOCALHOST:80/metrics", "http://LOCALHOST:80/metrics"),
    ("http://[::1/metrics", "http://[::1/metrics"),
    ("http://[::1]/metrics", "http://[::1]/metrics"),
    ("http://[::1]:9/metrics", "http://ext:9/metrics"),
    ("https://localhost:1/a?q=1+2&q=%C3%A9:9099", "https://ext:1/a?q=1+2&q=%C3%A9:9099"),
    ("http://localhost:9099/metrics?x#y", "https://ext:44/metrics?x#y"),
    ("http://localhost:99999/metrics", "http://ext:99999/metrics"),
    ("http://localhost:abc/metrics", "http://ext:abc/metrics"),
    ("http://localhost/metrics", "http://localhost/metrics"),
    ("http://x:9099/metrics", "http://x:9099/metrics"),
]


@pytest.mark.parametrize(("url", "shown"), TARGETS)
def test_targets_elsewhere(url: str, shown: str) -> None:
    """A loopback host becomes the external one, the server itself its external URL; what cannot be read stays."""
    assert ExternalUrl("https://ext:44/p", "9099").of_target(url) == shown


@pytest.mark.parametrize(
    ("external", "shown"),
    [
        ("http://proxy/p", "http://proxy:1/m"),
        ("http://[fe80::1]:80/p", "http://[fe80::1]:1/m"),
        ("http://[fe80::1]/p", "http://[fe80::1]:1/m"),
        ("/p", "http://localhost:1/m"),
    ],
)
def test_external_hosts(external: str, shown: str) -> None:
    """An external URL without a port lends its host, one without a host nothing, and brackets stay."""
    assert ExternalUrl(external, "9099").of_target("http://localhost:1/m") == shown


async def test_odd_targets_do_not_hide_the_others(tmp_path: Path) -> None:
    """One address that no URL can have leaves the answer of /targets whole."""
    targets = {
        number: SimpleNamespace(
            shown_url=url, labels=(), discovered=(), job="j", interval_ms=1000, timeout_ms=1000
        )
        for number, (url, _) in enumerate(TARGETS)
    }
    job = SimpleNamespace(targets=targets, sessions={}, dropped=[], dropped_count=0)
    options = WebOptions(external=ExternalUrl("https://ext:44/p", "9099"))
    async with web_world(tmp_path, options, {"scrape_pools": lambda: {"j": job}}) as here:
        status, _, body = await asked(here, "GET", f"{API}/targets")
        assert status == 200
        assert [
            (target["scrapeUrl"], target["globalUrl"]) for target in body["data"]["activeTargets"]
        ] == TARGETS


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        ("https?://(a|b)", "http://b", True),
        ("https?://(a|b)", "http://b.evil", False),
        ("a|b", "ab", False),
        (r"\pL+", "abc", True),
        ("(?i)http://A", "HTTP://a", True),
    ],
)
async def test_origins_are_matched_whole(pattern: str, origin: str, allowed: bool, tmp_path: Path) -> None:
    """The expression is one of RE2's and fits the whole origin, or the origin is not let in."""
    async with web_world(tmp_path, WebOptions(cors_origin=pattern)) as here:
        _, headers, _ = await asked(here, "GET", f"{API}/labels", headers={"origin": origin})
        assert headers.get(b"access-control-allow-origin") == (origin.encode() if allowed else None)


@pytest.mark.parametrize(
    ("addresses", "host"),
    [
        (["127.0.0.1:9090"], "127.0.0.1:9090"),
        (["[::1]:7", "localhost:9090"], "127.0.0.1:9090"),
        ([":9090"], f"{socket.gethostname()}:9090"),
        (["127.0.0.1:9090", "10.0.0.1:9090"], f"{socket.gethostname()}:9090"),
        (["unix:/s"], "127.0.0.1:9090"),
    ],
    ids=str,
)
def test_links_name_the_machine_where_others_may_come(addresses: list[str], host: str) -> None:
    """Without a URL of its own a server that others reach is known by the machine's name, else by loopback."""
    found = web_options(read_command_line([]), "127.0.0.1:9090", listen_addresses(tuple(addresses)))
    assert found.external.url == f"http://{host}"
