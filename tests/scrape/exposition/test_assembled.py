"""Classic histograms of a text as native ones: the same as those of a body in protobuf with the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.scrape.test_session import Scraper
from tests.support.metricfamilies import FamilyNumbers, HistogramNumbers, MetricNumbers, body_of
from trimon.gotext.floats import format_label
from trimon.model.components import is_marker
from trimon.model.labels import Labels
from trimon.scrape.options import PoolOptions

PROTOBUF = "application/vnd.google.protobuf"
CONVERT = PoolOptions("j", convert_classic_histograms=True)
BOUNDS = (0.1, 1.0, 10.0)


@st.composite
def families(draw: st.DrawFn) -> tuple[FamilyNumbers, ...]:
    """Histograms and gauges; some numbers of buckets are 0."""
    made = []
    for number in range(draw(st.integers(1, 3))):
        metrics = []
        kind = draw(st.sampled_from(("histogram", "histogram", "gauge")))
        for one in sorted(draw(st.sets(st.integers(0, 4), max_size=3))):
            steps = draw(st.lists(st.integers(0, 3), min_size=4, max_size=4))
            cumulative = np.cumsum(steps).tolist()
            count = draw(st.integers(2, 3))
            buckets = tuple(zip(BOUNDS[:count], cumulative[:count], strict=True))
            held = HistogramNumbers(cumulative[3], float(draw(st.integers(0, 9))), buckets)
            metrics.append(MetricNumbers((("n", str(one)),), float(draw(st.integers(0, 9))), (), held))
        made.append(FamilyNumbers(f"f{number}", kind, tuple(metrics)))
    return tuple(made)


def text_of(shown: tuple[FamilyNumbers, ...]) -> bytes:
    """The same in text."""
    lines = []
    for family in shown:
        lines.append(f"# TYPE {family.name} {family.kind}")
        for metric in family.metrics:
            own = ",".join(f'{name}="{value}"' for name, value in metric.labels)
            held = metric.histogram
            if family.kind == "gauge":
                lines.append(f"{family.name}{{{own}}} {metric.value!r}")
                continue
            for bound, count in (*held.buckets, (float("inf"), held.count)):
                lines.append(f'{family.name}_bucket{{{own},le="{format_label(bound)}"}} {count}')
            lines.append(f"{family.name}_sum{{{own}}} {held.sum!r}")
            lines.append(f"{family.name}_count{{{own}}} {held.count}")
    return "\n".join(lines).encode() + b"\n"


def series(scraper: Scraper) -> dict[Labels, int]:
    """The bits of all values that are live: markers are NaN."""
    live = scraper.storage.live.items()
    return {
        scraper.storage.labels[column]: int(np.float64(value).view(np.int64))
        for column, value in live
        if dict(scraper.storage.labels[column])["__name__"] != "scrape_duration_seconds"
    }


@given(st.lists(families(), min_size=1, max_size=4), st.booleans())
def test_text_gives_what_protobuf_gives(bodies: list[tuple[FamilyNumbers, ...]], classic: bool) -> None:
    """Scrape after scrape the same series are live with the same values, markers, components and report among them."""
    options = replace(CONVERT, always_classic_histograms=classic)
    text, protobuf = Scraper(options), Scraper(options)
    for shown in bodies:
        text.scrape(text_of(shown))
        protobuf.scrape(body_of(shown) or b"\0", PROTOBUF)
        assert text.session.state.last_error == protobuf.session.state.last_error == ""
        assert series(text) == series(protobuf)


def test_a_known_layout_moves_nothing() -> None:
    """While only numbers change no series is offered, and a bucket that fills for the first time is."""
    scraper = Scraper(CONVERT)
    line = '# TYPE h histogram\nh_bucket{{le="1"}} {}\nh_bucket{{le="2"}} {}\nh_sum 1\nh_count {}\n'
    scraper.scrape(line.format(1, 1, 1).encode())
    known = len(scraper.storage.labels)
    scraper.scrape(line.format(5, 5, 5).encode())
    assert len(scraper.storage.labels) == known
    scraper.scrape(line.format(5, 6, 6).encode())
    assert len(scraper.storage.labels) == known + 1
    markers = np.array(list(scraper.storage.live.values()))
    assert np.count_nonzero(is_marker(markers)) == 1


def test_what_is_no_histogram_ends() -> None:
    """Counts that do not grow with the bounds are no histogram: it ends, and comes back when they do."""
    scraper = Scraper(CONVERT)
    line = '# TYPE h histogram\nh_bucket{{le="1"}} {}\nh_bucket{{le="2"}} {}\nh_sum 1\nh_count {}\na 1\n'
    assert "h" in scraper.scrape(line.format(1, 2, 2).encode())
    values = scraper.scrape(line.format(3, 2, 2).encode())
    assert (values["up"], "h" in values, values["scrape_samples_scraped"]) == (1, False, 1)
    assert "h" in scraper.scrape(line.format(3, 4, 4).encode())


def test_limits_count_a_histogram_as_one() -> None:
    """A limit of samples is about histograms; one of buckets fails the scrape, whose series all end."""
    body = b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="2"} 2\nh_sum 1\nh_count 3\n'
    assert Scraper(replace(CONVERT, sample_limit=1)).scrape(body)["up"] == 1
    failed = Scraper(replace(CONVERT, sample_limit=1))
    assert failed.scrape(body + b"a 1\n")["up"] == 0
    assert failed.session.state.last_error == "sample limit exceeded"
    full = Scraper(replace(CONVERT, native_histogram_bucket_limit=2))
    assert "h" not in full.scrape(body)
    assert full.session.state.last_error == "histogram bucket limit exceeded"
    assert full.session.counts.bucket_limit_exceeded == 1


def test_a_fault_below_a_histogram_does_not_end_it() -> None:
    """What was read above a fault goes on without a value, and is not offered again."""
    scraper = Scraper(CONVERT)
    body = b'a 1\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 3\n# TYPE b gauge\nb 1\n'
    scraper.scrape(body)
    values = scraper.scrape(body.replace(b"b 1", b"b x"))
    assert values["up"] == 0
    assert {"a", "h"} <= values.keys()
    assert "b" not in values
    known = len(scraper.storage.labels)
    assert {"a", "b", "h"} <= scraper.scrape(body).keys()
    assert len(scraper.storage.labels) == known


def test_a_histogram_without_a_component_is_refused() -> None:
    """Where storage refuses a component the histogram ends, and is whole when it is offered again."""
    scraper = Scraper(CONVERT)
    line = '# TYPE h histogram\nh_bucket{{le="1"}} {}\nh_bucket{{le="2"}} {}\nh_sum 1\nh_count {}\na 1\n'
    assert "h" in marked(scraper, line.format(1, 1, 1))
    scraper.storage.refuse_components = True
    assert "h" in marked(
        scraper, line.format(1, 2, 2)
    )  # the row in which it was refused; storage leaves it out
    assert "h" not in marked(scraper, line.format(2, 3, 3))
    assert "h" not in marked(scraper, line.format(2, 3, 3))
    scraper.storage.refuse_components = False
    scraper.now_ms += 61_000
    assert "h" in marked(scraper, line.format(2, 3, 3))


def marked(scraper: Scraper, body: str) -> set[str]:
    """The series that are histograms after a body."""
    scraper.scrape(body.encode())
    live = scraper.storage.live.items()
    return {
        dict(scraper.storage.labels[column])["__name__"]
        for column, value in live
        if is_marker(np.array([value]))[0]
    }
