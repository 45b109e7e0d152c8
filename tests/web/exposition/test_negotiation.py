"""Which format an Accept header gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.web.exposition.negotiation import encoding_for

PROTO = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
ASKED = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding="


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", f"{TEXT}; escaping=underscores"),
        ("*/*", f"{TEXT}; escaping=underscores"),
        ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", f"{TEXT}; escaping=underscores"),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", f"{TEXT}; escaping=allow-utf-8"),
        ("text/plain;escaping=nothing", f"{TEXT}; escaping=underscores"),
        (f"{ASKED}delimited", f"{PROTO}; encoding=delimited; escaping=underscores"),
        (f"{ASKED}text;escaping=dots", f"{PROTO}; encoding=text; escaping=dots"),
        (f"{ASKED}compact-text;escaping=values", f"{PROTO}; encoding=compact-text; escaping=values"),
        (f"{ASKED}delimited;q=0.4,text/plain;q=0.5", f"{TEXT}; escaping=underscores"),
        (f"text/plain;q=0.5,{ASKED}delimited;q=0.6", f"{PROTO}; encoding=delimited; escaping=underscores"),
        (f"{ASKED}other", f"{TEXT}; escaping=underscores"),
        ("application/vnd.google.protobuf;proto=x;encoding=delimited", f"{TEXT}; escaping=underscores"),
        (f"text/*,{ASKED}delimited", f"{PROTO}; encoding=delimited; escaping=underscores"),
    ],
)
def test_the_most_wanted_format_that_is_known(accept: str, wanted: str) -> None:
    """Weights decide, then the order; what is not known is passed over, and OpenMetrics is not known."""
    assert encoding_for(accept).content_type == wanted


@given(st.text())
def test_every_header_gets_something(accept: str) -> None:
    """No header is an error."""
    assert encoding_for(accept).content_type
