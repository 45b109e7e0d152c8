"""Instants and durations as Go shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.gotext.civiltime import (
    civil,
    days_from_civil,
    duration_text,
    format_time,
    time_literal,
    time_text,
)

INSTANT_NS = 1_435_065_584_128_000_000


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001 - strategies take no zone
def test_calendar_fields(moment: datetime) -> None:
    """The fields of an instant are those of the Gregorian calendar."""
    delta = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    found = civil(delta // timedelta(microseconds=1) * 1000)
    assert (found.year, found.month, found.day) == (moment.year, moment.month, moment.day)
    assert (found.hour, found.minute, found.second) == (moment.hour, moment.minute, moment.second)
    assert found.nanosecond == moment.microsecond * 1000
    assert (found.weekday, found.year_day) == (moment.isoweekday() % 7, moment.timetuple().tm_yday)
    assert days_from_civil(moment.year, moment.month, moment.day) == delta.days


@pytest.mark.parametrize(
    ("layout", "want"),
    [
        ("2006-01-02T15:04:05Z07:00", "2015-06-23T13:19:44Z"),
        ("Mon Jan _2 15:04:05 2006", "Tue Jun 23 13:19:44 2015"),
        ("Monday, January 2, 06 3:04PM pm", "Tuesday, June 23, 15 1:19PM pm"),
        ("05.000 05.999999 05,00 .9", "44.128 44.128 44,12 .1"),
        ("002 __2 -0700 -07:00 MST Z0700", "174 174 +0000 +00:00 UTC Z"),
        ("Janx Monx Month .x 7 8", "Janx Monx Month .x 7 8"),
    ],
)
def test_layouts(layout: str, want: str) -> None:
    """A layout shows how the reference time would be written."""
    assert format_time(INSTANT_NS, layout) == want


def test_texts() -> None:
    """What the String and GoString methods say."""
    assert time_text(INSTANT_NS) == "2015-06-23 13:19:44.128 +0000 UTC"
    assert time_text(-1_500_000_000) == "1969-12-31 23:59:58.5 +0000 UTC"
    assert time_literal(0) == "time.Date(1970, time.January, 1, 0, 0, 0, 0, time.UTC)"
    shown = {
        0: "0s",
        1: "1ns",
        1_500: "1.5µs",
        -2_000_000: "-2ms",
        1_500_000_000: "1.5s",
        90_061_000_000_000: "25h1m1s",
    }
    assert {duration: duration_text(duration) for duration in shown} == shown
    assert duration_text(-(2**63)) == "-2562047h47m16.854775808s"
