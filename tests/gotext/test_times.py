"""Times as Go writes them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trimon.gotext.times import FIRST_MS, LAST_MS, json_time, parse_rfc3339_ms, rfc3339


@given(st.integers())
def test_every_number_is_a_time(timestamp_ms: int) -> None:
    """No number of milliseconds raises; one with a date is read back as it was, others are the nearest with one."""
    nearest_ms = min(max(timestamp_ms, FIRST_MS), LAST_MS)
    assert parse_rfc3339_ms(rfc3339(timestamp_ms)) == nearest_ms
    if timestamp_ms:
        assert parse_rfc3339_ms(json_time(timestamp_ms)) == nearest_ms


def test_years_have_four_digits() -> None:
    """The first year as well as the last, and zero is Go's."""
    assert json_time(FIRST_MS) == "0001-01-01T00:00:00Z"
    assert json_time(LAST_MS + 1) == "9999-12-31T23:59:59.999Z"
    assert json_time(0) == "0001-01-01T00:00:00Z"
    assert json_time(1500) == "1970-01-01T00:00:01.5Z"
