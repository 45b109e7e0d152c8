"""The plan of a matrix by the loop in C, held against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.compiled.library import MISSING
from trimon.model.sample import ABSENT, STALE_NAN
from trimon.storage.codec.matrix import decode, encode, planned_plainly
from trimon.storage.codec.plan import Plan, planned

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no compiled loops: {MISSING}")

KINDS = ("constant", "counter", "steep", "bits", "decimals", "huge", "noise", "any")
ODD = (0.0, -0.0, float("inf"), float("nan"), ABSENT, STALE_NAN, 2.0**53, -(2.0**53), 2.0**52 + 0.5, 5e-324)


def series(kind: str, seed: int, samples: int) -> np.ndarray:
    """Values of a kind."""
    random = np.random.default_rng(seed)
    steps = {"counter": 20, "steep": 100_000, "bits": 2}.get(kind, 1 << 40)
    if kind == "constant":
        return np.full(samples, float(random.integers(-9, 9)))
    if kind == "noise":
        return random.normal(0, 1, samples)
    if kind == "any":
        return random.integers(0, 1 << 63, samples).view(np.float64)
    if kind == "decimals":
        return np.round(np.cumsum(random.normal(0, 3, samples)), int(random.integers(1, 16)))
    return random.integers(0, steps, samples).cumsum().astype(np.float64) * float(random.choice([-1.0, 1.0]))


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    """Series of all kinds, some cells of them odd."""
    samples = draw(st.integers(1, 70))
    rows = draw(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2**32)), min_size=1, max_size=8))
    values = np.array([series(kind, seed, samples) for kind, seed in rows])
    places = st.tuples(st.integers(0, len(rows) - 1), st.integers(0, samples - 1), st.sampled_from(ODD))
    for row, sample, value in draw(st.lists(places, max_size=12)):
        values[row, sample] = value
    return values


def told(plan: Plan) -> tuple[object, ...]:
    """All of a plan."""
    return (
        plan.groups.tolist(), plan.exponents.tolist(), plan.firsts.tolist(), plan.bases.tolist(), plan.planes,
        plan.broken_at.tolist(),
    )  # fmt: skip


@given(matrices())
def test_plans_are_those_that_numpy_makes(values: np.ndarray) -> None:
    """Classes, exponents, bases, planes and exceptions are the twin's, and what is encoded is read bit for bit."""
    plan = planned(values)
    if plan is not None:
        assert told(plan) == told(planned_plainly(values))
    assert decode(encode(values)).tobytes() == values.tobytes()


def test_what_is_usual_is_not_left_to_numpy() -> None:
    """The loop takes counters, decimals, noise and staleness markers."""
    values = np.array([series(kind, 1, 50) for kind in ("constant", "counter", "steep", "decimals", "noise")])
    values[1, 7] = STALE_NAN
    assert planned(values) is not None
