"""Spans: which are made, whose children they are, and what the collector reads."""

from __future__ import annotations

import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from trimon.tracing.otlp import export_request
from trimon.tracing.span import Span, SpanContext, SpanKind, context_of
from trimon.tracing.tracer import SPANS_MAX, Tracer


def tracer(fraction: float | None = 1.0, seed: int = 1) -> Tracer:
    made = Tracer(random.Random(seed))
    made.configure(fraction)
    return made


async def test_spans_inside_are_children_also_in_threads() -> None:
    """A span begun within another one, in a task or a thread, has its trace and names it as its parent."""
    here = tracer()

    def work() -> None:
        with here.span("thread"):
            pass

    with here.span("outer", {"a": 1}) as outer, here.span("inner"):
        await trio.to_thread.run_sync(work)
    assert outer is not None
    spans = {span.name: span for span in here.ended}
    assert list(spans) == ["thread", "inner", "outer"]
    assert {span.context.trace_id for span in spans.values()} == {outer.context.trace_id}
    assert spans["thread"].parent_id == spans["inner"].context.span_id
    assert spans["inner"].parent_id == outer.context.span_id
    assert outer.parent_id == b""
    assert here.headers() == ()


def test_an_error_is_the_spans_and_goes_on() -> None:
    """What is raised inside is told by the span and raised on."""
    here = tracer()
    with pytest.raises(ValueError, match="no"), here.span("a"):
        raise ValueError("no")
    assert here.ended[0].error == "no"


def test_without_tracing_nothing_is_made() -> None:
    """Off: no span, no header; a fraction of 0: no span either, and the header says that it is not sampled."""
    off, none = tracer(None), tracer(0.0)
    with off.span("a") as span:
        assert (span, off.headers()) == (None, ())
    with none.span("a") as span:
        assert span is None
        assert none.headers()[0][1].endswith("-00")
    assert not off.ended
    assert not none.ended


def test_a_part_of_traces_is_sampled_whole() -> None:
    """A fraction of traces has all of its spans, the others none."""
    here = tracer(0.3)
    for _ in range(1000):
        with here.span("a"), here.span("b"):
            pass
    names = [span.name for span in here.ended]
    assert names.count("a") == names.count("b")
    assert 240 < names.count("a") < 360


def test_who_asks_decides() -> None:
    """A parent from elsewhere that is sampled is followed whatever the fraction, and one that is not is not."""
    for sampled in (True, False):
        here = tracer(0.0 if sampled else 1.0)
        parent = SpanContext(b"t" * 16, b"s" * 8, sampled)
        with here.span("a", kind=SpanKind.SERVER, parent=parent):
            pass
        assert [(span.context.trace_id, span.parent_id) for span in here.ended] == [
            (b"t" * 16, b"s" * 8)
        ] * sampled


def test_spans_that_nobody_takes_are_bounded() -> None:
    """Beyond the bound new spans are dropped and counted."""
    here = tracer()
    for _ in range(SPANS_MAX + 5):
        with here.span("a"):
            pass
    assert (len(here.ended), here.dropped) == (SPANS_MAX, 5)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.booleans())
def test_headers_are_read_as_they_are_written(trace_id: bytes, span_id: bytes, sampled: bool) -> None:
    """A context comes back from its header; all zeros are none."""
    context = SpanContext(trace_id, span_id, sampled)
    expected = context if any(trace_id) and any(span_id) else None
    assert context_of(context.header()) == expected


@given(st.text(max_size=80))
def test_any_header_can_be_sent(text: str) -> None:
    """What is no header is none, and never an error."""
    assert context_of(text) is None or len(text) >= 55


@pytest.mark.parametrize(
    "text", ["", "ff-" + "1" * 32 + "-" + "1" * 16 + "-01", "00-" + "1" * 32 + "-" + "1" * 16 + "-01-x"]
)
def test_odd_headers_are_none(text: str) -> None:
    """Version ff is none, and version 00 has four parts."""
    assert context_of(text) is None


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=5)),
        max_size=4,
    )
)
def test_the_collector_reads_what_was_written(attributes: dict[str, bool | int | float | str]) -> None:
    """Names, ids, times, attributes and the error come back by OpenTelemetry's own reader."""
    span = Span("n", SpanContext(b"t" * 16, b"s" * 8), b"p" * 8, SpanKind.CLIENT, 5, 7, "why", attributes)
    read = ExportTraceServiceRequest.FromString(export_request([span, span]))
    [scope] = read.resource_spans[0].scope_spans
    first, second = scope.spans
    assert first == second
    assert (first.trace_id, first.span_id, first.parent_span_id) == (b"t" * 16, b"s" * 8, b"p" * 8)
    assert (first.name, first.kind, first.start_time_unix_nano, first.end_time_unix_nano) == ("n", 3, 5, 7)
    assert (first.status.code, first.status.message) == (2, "why")
    for pair, (name, value) in zip(first.attributes, attributes.items(), strict=True):
        assert pair.key == name
        held = getattr(pair.value, pair.value.WhichOneof("value"))
        assert type(held) is type(value)
        assert repr(held) == repr(value)
    assert {pair.key for pair in read.resource_spans[0].resource.attributes} >= {
        "service.name",
        "service.version",
    }
