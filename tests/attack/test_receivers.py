"""Remote write to real receivers for some seconds: killed, slow and failing in turns, the sender killed twice."""

from __future__ import annotations

import secrets
from collections import Counter
from pathlib import Path

import pytest

from tests.attack.receivers import Trial
from tests.support.process import peer


@pytest.mark.peer
def test_real_receivers_get_every_sample_once(tmp_path: Path) -> None:
    """A Prometheus, a VictoriaMetrics and a trimon have in the end what the sender stored, sample by sample, and no more."""
    for program in ("prometheus", "victoria-metrics"):
        peer(program)
    seed = secrets.randbits(32)
    trial = Trial(tmp_path, ["prometheus", "victoria-metrics", "trimon"], seed)
    outcomes = trial.run(15, turn_s=1.5)
    for name, outcome in outcomes.items():
        assert (outcome.lost, outcome.doubled) == (0, 0), (name, seed, outcome)
        assert outcome.seen["204"] > 5, (name, outcome)
    seen = sum((outcome.seen for outcome in outcomes.values()), start=Counter())
    assert min(seen["500 of the gate"], seen["answers forgotten"]) > 0, seen
