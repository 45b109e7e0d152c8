"""The heads of plain lines: labels that are looked up by their text, against the scanner, which reads letter by letter."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trimon.model.labels import METRIC_NAME
from trimon.scrape.exposition.textformat import _NAMES, _PAIRS, _PAIRS_KEPT_MAX, plain_head

NAMES = st.sampled_from(["a", "le", "_x9", "A"])
VALUES = st.text(st.sampled_from('x,={} "\\\n\té'), max_size=6)


def written(value: str) -> str:
    """A value as the format writes it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@settings(max_examples=1500, deadline=None)
@example("m", [("a", ","), ("le", "=")], ",")
@given(
    st.sampled_from(["m", "m:x", "_"]),
    st.lists(st.tuples(NAMES, VALUES), max_size=5),
    st.sampled_from(["", ","]),
)
def test_what_is_written_is_read(metric: str, pairs: list[tuple[str, str]], comma: str) -> None:
    """Whatever letters values have, the commas, quotes and braces of the format among them, and with a comma at the end."""
    inner = ",".join(f'{name}="{written(value)}"' for name, value in pairs)
    head = f"{metric}{{{inner}{comma}}} " if pairs else f"{metric} "
    size = len(head.encode())
    assert plain_head((head + "7").encode()) == (size, ((METRIC_NAME, metric), *pairs))


def test_what_is_no_text_is_left_to_the_scanner() -> None:
    """Bytes that are no UTF-8 are nobody's label, at whatever place."""
    assert plain_head(b'm{a="\xff"} 1') is None
    assert plain_head(b'm{a="x",b="\xff",c="y"} 1') is None


def test_texts_are_kept_within_a_bound() -> None:
    """Ever new values make nothing grow."""
    for number in range(3 * _PAIRS_KEPT_MAX):
        head = plain_head(b'm%d{a="%d",b="x"} 1' % (number, number))
        assert head is not None
        assert head[1] == ((METRIC_NAME, f"m{number}"), ("a", str(number)), ("b", "x"))
    assert max(len(_PAIRS), len(_NAMES)) <= _PAIRS_KEPT_MAX
