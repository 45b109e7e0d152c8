"""How rules do before and after a configuration is taken over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from trimon.server.planning.health import ServerHealth, server_health


def health(**rules: str) -> ServerHealth:
    """That of a server with one group; `name=health` in order, with a number after a name that is there twice."""
    sessions = [
        SimpleNamespace(spec=SimpleNamespace(name=name.rstrip("0123456789")), health=how, last_error="bad")
        for name, how in rules.items()
    ]
    group = SimpleNamespace(spec=SimpleNamespace(key="f;g", name="g", file="f"), rules=sessions)
    parts: Any = SimpleNamespace(
        scraping=SimpleNamespace(manager=SimpleNamespace(scrape_pools={})),
        rules=SimpleNamespace(manager=SimpleNamespace(groups={"f;g": group})),
    )
    return server_health(parts)


def test_a_rule_put_before_others_makes_them_no_other_rules() -> None:
    """A rule that fails after another one was put before it was well before: that is harm."""
    assert health(a="ok", b="ok").harm(health(new="ok", a="ok", b="err")) == (
        "1 of 2 rules that were well fail, such as rule b of group g in f: bad"
    )
    assert health(a="ok").harm(health(new="err", a="ok")) == ""


def test_rules_of_one_name_are_told_apart_by_their_order() -> None:
    """The second of a name is held against the second."""
    before = health(a1="ok", a2="err", b="ok")
    assert before.harm(health(a1="ok", b="ok", a2="err")) == ""
    assert "rule a of group g" in before.harm(health(a1="err", b="ok", a2="err"))
