"""Mutated rule files and templates, some hundred of them."""

from __future__ import annotations

from tests.attack.rulefiles import attack


def test_no_rule_file_or_template_crashes_or_takes_long() -> None:
    """Whatever stands in them, they are taken or refused with an error for the user, within their bound."""
    outcome = attack(300, 1)
    assert outcome.crashes == []
    assert outcome.slow == 0
    assert outcome.taken > 50
    assert len(outcome.refused) > 30
