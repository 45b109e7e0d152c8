"""Labels put together from parts of other lines are those that the whole line has."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.model.labels import Labels
from trimon.scrape.exposition.bodymemory import BrokenBody, KnownLines, SampleRules, SeriesRule
from trimon.scrape.exposition.families import BodyFamilies, FamilyDeclaration
from trimon.scrape.exposition.labelparts import LabelParts
from trimon.scrape.exposition.linebyline import LineByLine
from trimon.scrape.exposition.openmetrics import OpenMetricsFormat
from trimon.scrape.exposition.records import Pairs
from trimon.scrape.exposition.textformat import ExpositionFormat, TextFormat
from trimon.scrape.options import PoolOptions
from trimon.scrape.series_labels import SeriesLabels

TARGET: Labels = (("instance", "a:1"), ("job", "j"))
VALUES = st.sampled_from(
    ["", "0", "1", "0.50", "+Inf", "1e3", "x", "é", r"\"", r"\\", r"\n", r"\",b=\"", "} ", ' 1 # {t="', "\0"]
)
LABEL = st.tuples(
    st.sampled_from(["a", "b", "le", "quantile", "instance", "job", "exported_job", "Z"]), VALUES
)
SPACE = st.sampled_from(["", "", "", " "])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line of a body: mostly a sample in usual form, sometimes in an odd one, sometimes a type."""
    name = draw(st.sampled_from(["m", "m_bucket", "n", "n_sum", "9", "m{"]))
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return f"# TYPE {name} {draw(st.sampled_from(['histogram', 'summary', 'counter', 'gauge', 'odd']))}"
    if kind == 1:
        return draw(st.sampled_from(["", "# a comment", f'{{"{name}",a="1"}} 3', "m 1 2 3", "# EOF"]))
    labels = draw(st.lists(LABEL, max_size=3))
    inner = ",".join(f'{label}{draw(SPACE)}="{value}"' for label, value in labels) + draw(
        st.sampled_from(["", "", "", ","])
    )
    braces = f"{{{inner}}}" if bool(labels) or draw(st.booleans()) else ""
    end = draw(st.sampled_from(["", "", "", " 1000", ' # {t="1"} 2', " "]))
    value = draw(st.sampled_from(["1", "2.5", "NaN", "-Inf", "0x1p3", "x", ""]))
    return f"{name}{braces} {value}{end}"


def read(rule: SeriesRule, text_format: ExpositionFormat, body: bytes) -> object:
    """All that comes of a body, or its fault."""
    one = LineByLine(SampleRules(text_format, rule, honor_timestamps=True), KnownLines(BodyFamilies()))
    try:
        known, reading = one.read(body, body.split(b"\n")[:-1])
    except BrokenBody as broken:
        return str(broken), broken.place, broken.samples
    return (
        known.heads(),
        known.slots.tolist(),
        known.hashes.tolist(),
        reading.values.tobytes(),
        reading.new_labels,
        reading.timed,
        reading.exemplars,
        reading.duplicates,
        reading.added,
    )


@given(
    texts=st.lists(lines(), min_size=1, max_size=25),
    open_metrics=st.booleans(),
    honor=st.booleans(),
    limited=st.booleans(),
)
@settings(max_examples=600, deadline=None)
def test_parts_change_nothing(texts: list[str], open_metrics: bool, honor: bool, limited: bool) -> None:
    """A body is read alike by a rule that allows parts and by one that does not, faults and their places included."""
    rule = SeriesLabels(
        TARGET, PoolOptions("j", honor_labels=honor, label_value_length_limit=4 if limited else 0)
    )
    assert rule.is_by_parts

    def whole(pairs: Pairs, declared: FamilyDeclaration) -> Labels | None:
        return rule(pairs, declared)

    body = "".join(f"{text}\n" for text in texts).encode()
    text_format: ExpositionFormat = OpenMetricsFormat() if open_metrics else TextFormat()
    assert read(rule, text_format, body) == read(whole, text_format, body)


def test_what_was_seen_is_put_together() -> None:
    """Another name with known braces, and another last value, even a bound, are found without parsing; the rest is not."""
    rule = SeriesLabels(TARGET, PoolOptions("j"))
    parts, plain = LabelParts(rule), FamilyDeclaration()
    histogram = FamilyDeclaration("histogram")
    for head, pairs, declared in (
        (b'a{x="1",y="2"} ', (("__name__", "a"), ("x", "1"), ("y", "2")), plain),
        (b"b ", (("__name__", "b"),), plain),
        (b'h_bucket{x="1",le="1"} ', (("__name__", "h_bucket"), ("x", "1"), ("le", "1")), histogram),
    ):
        labels = rule(pairs, declared)
        assert labels is not None
        parts.learn(head, pairs, labels, declared)
    assert parts.find(b'b{x="1",y="2"} ', plain) == (("__name__", "b"), *TARGET, ("x", "1"), ("y", "2"))
    assert parts.find(b'a{x="1",y="3"} ', plain) == (("__name__", "a"), *TARGET, ("x", "1"), ("y", "3"))
    assert parts.find(b'h_bucket{x="1",le="5"} ', histogram) == (
        ("__name__", "h_bucket"),
        *TARGET,
        ("le", "5.0"),
        ("x", "1"),
    )
    for head in (
        b'c{x="1",y="2"} ',
        b'a{x="2",y="2"} ',
        b'a{x="1",y="\\n"} ',
        b'a{x="1",y=""} ',
        b'h_bucket{x="1",le="5"} ',
    ):
        assert parts.find(head, plain) is None, head


def test_where_labels_depend_on_the_name_nothing_is_put_together() -> None:
    """Labels of type and unit, which a family has and another has not."""
    rule = SeriesLabels(TARGET, PoolOptions("j", type_and_unit_labels=True))
    parts, plain = LabelParts(rule), FamilyDeclaration()
    parts.learn(b"a ", (("__name__", "a"),), (("__name__", "a"), *TARGET), plain)
    assert parts.find(b"a ", plain) is None
