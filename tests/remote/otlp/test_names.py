"""Names of metrics, units and labels, by every strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.config.otlp import ESCAPED, UNESCAPED, OtlpConfig
from trimon.errors import UserError
from trimon.model.labels import is_legacy_label_name, is_legacy_metric_name
from trimon.remote.otlp.names import EmptyName, Namer, Unit

STRATEGIES = (*ESCAPED, *UNESCAPED)


@pytest.mark.parametrize(
    ("name", "unit", "kind", "names"),
    [
        ("http.took", "s", "histogram", ("http_took_seconds", "http_took", "http.took_seconds", "http.took")),
        ("disk.io", "By", "counter", ("disk_io_bytes_total", "disk_io", "disk.io_bytes_total", "disk.io")),
        ("a.total.b", "{x}/s", "counter", ("a_b_per_second_total", "a_total_b", "a.total.b_per_second_total", "a.total.b")),
        ("a.ratio.b", "1", "gauge", ("a_b_ratio", "a_ratio_b", "a.ratio.b_ratio", "a.ratio.b")),
        ("seconds", "s", "gauge", ("seconds", "seconds", "seconds", "seconds")),
        ("1st", "", "gauge", ("_1st", "_1st", "1st", "1st")),
        ("a.total", "", "counter", ("a_total", "a_total", "a_total", "a.total")),
        ("_a__b", "m/s", "gauge", ("a_b_meters_per_second", "_a__b", "_a__b_meters_per_second", "_a__b")),
        ("n second", "m/s", "gauge", ("n_second_meters_per_second", "n_second", "n second_meters_per_second", "n second")),
        ("n", "[m]/[s]", "gauge", ("n_m_per_s", "n", "n_[m]_per_[s]", "n")),
    ],
)  # fmt: skip
def test_metrics_have_the_names_of_their_strategy(
    name: str, unit: str, kind: str, names: tuple[str, ...]
) -> None:
    """With suffixes and without, escaped and not."""
    for strategy, expected in zip(STRATEGIES, names, strict=True):
        namer = Namer.of(OtlpConfig(translation_strategy=strategy))
        built = namer.metric(name, unit, is_counter=kind == "counter", is_gauge=kind == "gauge")
        assert built == expected, strategy


@pytest.mark.parametrize(
    ("unit", "label"),
    [
        ("", ""),
        ("1", ""),
        ("{x}", ""),
        ("By/s", "bytes_per_second"),
        ("1/s", "per_second"),
        ("$", ""),
        ("a b", "a_b"),
        ("µs", "seconds"),
        ("s²", "seconds"),
        ("[degF]", "degF"),
        ("m/é", "meters_per"),
        ("//", "per"),
        ("µ1", ""),
    ],
)
def test_units_are_said_in_a_label(unit: str, label: str) -> None:
    """In words, whatever the strategy; odd characters are left out, and what is left may be a unit that is known."""
    assert {Unit.of(unit).label(escapes=escapes) for escapes in (True, False)} == {label}


def test_an_odd_unit_by_another_depends_on_the_strategy() -> None:
    """Names that are escaped have one underscore before `per`, others what the odd character leaves, too."""
    assert [Unit.of("m²/s").label(escapes=escapes) for escapes in (True, False)] == [
        "m_per_second",
        "m__per_second",
    ]


def test_labels_follow_the_two_options() -> None:
    """Whether one leading underscore gets a key, and whether several in a row stay."""
    cases = {"_a": ("key_a", "_a"), "a..b": ("a__b", "a_b"), "1a": ("key_1a", "key_1a"), "__x": ("__x", "_x")}
    plain = Namer.of(OtlpConfig())
    other = Namer.of(
        OtlpConfig(label_name_underscore_sanitization=False, label_name_preserve_multiple_underscores=False)
    )
    assert {name: (plain.label(name), other.label(name)) for name in cases} == cases
    with pytest.raises(UserError, match='label name "é" resulted in invalid name "_"'):
        other.label("é")


@pytest.mark.parametrize("name", ["__", "___", "____", "ключ"])
def test_underscores_alone_are_no_label(name: str) -> None:
    """Neither as they come nor as what escaping leaves; without escaping a label may be called so."""
    plain = OtlpConfig(label_name_underscore_sanitization=False)
    for config in (plain, replace(plain, label_name_preserve_multiple_underscores=False)):
        with pytest.raises(EmptyName, match=f'label name "{name}" resulted in invalid name "_+"'):
            Namer.of(config).label(name)
    assert Namer.of(OtlpConfig(translation_strategy=UNESCAPED[0])).label(name) == name


def test_reserved_names_stay_reserved() -> None:
    """Names between double underscores keep these, though several underscores become one: `__name__` is no other label."""
    namer = Namer.of(OtlpConfig(label_name_preserve_multiple_underscores=False))
    cases = {"__name__": "__name__", "__a__b__": "__a_b__", "__a.b__": "__a_b__", "__a__b": "key_a_b"}
    assert {name: namer.label(name) for name in cases} == cases


@given(st.text(max_size=12), st.text("sBy/1{}%é .", max_size=5), st.booleans(), st.booleans())
def test_escaped_names_are_names_everywhere(name: str, unit: str, counts: bool, suffixes: bool) -> None:
    """What the escaping strategies build is of letters, digits and underscores, or nothing is left and that is said."""
    namer = Namer.of(OtlpConfig(translation_strategy=ESCAPED[not suffixes]))
    builds: tuple[tuple[Callable[[], str], Callable[[str], bool]], ...] = (
        (lambda: namer.metric(name, unit, is_counter=counts, is_gauge=not counts), is_legacy_metric_name),
        (lambda: namer.label(name), is_legacy_label_name),
    )
    for build, is_name in builds:
        try:
            built = build()
        except EmptyName:
            continue
        assert is_name(built)
