"""The YAML reader against PyYAML's own safe loader."""

from __future__ import annotations

import math
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon import limits
from trimon.config.yaml.faults import Faults, ShapeErrors
from trimon.config.yaml.tree import Document
from trimon.errors import Position, UserError

# Prometheus' reader takes these for numbers and booleans, PyYAML for text that needs no quotes.
OTHER_ELSEWHERE = re.compile(r"[-+]?([\d._]+[eE][-+]?[\d_]+|0o[0-7_]+)|[yYnN]", re.ASCII)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], max_codepoint=0xFFFD)).filter(
        lambda text: OTHER_ELSEWHERE.fullmatch(text) is None
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc<=~0", max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


def plain(text: str) -> object:
    document = Document(text, "f.yml")
    assert document.root is not None
    return document.plain(document.root)


@settings(deadline=None)  # the machine may be busy
@given(values, st.booleans())
def test_what_pyyaml_writes_is_read_back(value: object, flow: bool) -> None:
    """Any plain value, dumped by PyYAML in block or flow style, comes back as it was."""
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    assert plain(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("'yes'", "yes"),
        ("!!str 5", "5"),
        ("! 5", "5"),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("1_000", 1000),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("2001-01-01", "2001-01-01"),
        ("1.2.3", "1.2.3"),
        ("12:30", "12:30"),
        ("|\n a\n b\n", "a\nb\n"),
        (">\n a\n b\n", "a b\n"),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
        ("[{<<: {a: 1, b: 2}, b: 3}]", [{"a": 1, "b": 3}]),
        ("{<<: [{a: 1}, {a: 2, b: 2}]}", {"a": 1, "b": 2}),
    ],
)
def test_scalars_have_the_types_of_yaml_1_1(text: str, value: object) -> None:
    """Types follow YAML 1.1 as Prometheus' reader takes it; times of day stay text."""
    assert plain(text) == value


@pytest.mark.parametrize(
    "text",
    ["9" * 5000, "-" + "9" * 401, "0x" + "f" * 5000, "0b_", "0x_", "0o_", "!!int 0b__", "1" + "0" * 4300],
)
def test_a_number_that_is_none_or_has_no_end_is_an_error_with_its_place(text: str) -> None:
    """Thousands of digits, and prefixes without any, are the wrong type, wherever a value is read."""
    for read in (Document.integer, Document.plain):
        document = Document(f"a: 1\nb: {text}\n", "f.yml")
        assert document.root is not None
        with pytest.raises(ShapeErrors) as refused:
            read(document, document.root.value[3])
        assert (refused.value.position.line, refused.value.position.column) == (2, 4)


@settings(deadline=None)  # the machine may be busy
@given(st.text("ab:-?[]{}&*!|>'\"%#, \n\t~1", max_size=40))
def test_no_text_makes_the_reader_fall(text: str) -> None:
    """Any text is a document or an error of the user."""
    file = ""
    try:
        document = Document(text, "f.yml")
        if document.root is not None:
            document.plain(document.root)
    except UserError as error:
        file = error.position.file
    assert file in ("", "f.yml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: &a {x: 1}\nb: &b [*a, *a, *a, *a]\nc: [*b, *b]\nd: [*b, *b, *b,\n  *b]\n",
            "f.yml:5:3: yaml: document has 101 nodes and more; it may have 100 nodes, aliases counted each time",
        ),
        (
            "[&a xxxxxxxxxxxxxxxxxxxxxxxxx,\n*a,\n*a,\n*a]",
            "f.yml:4:1: yaml: document has values of 100 characters and more; they may have 90, aliases counted each time",
        ),
        ("[" * 11, "f.yml:1:11: yaml: nested deeper than 10 levels"),
        (
            "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(12)),
            "f.yml:10:10: yaml: nested deeper than 10 levels",
        ),
    ],
)
def test_a_text_has_a_most_of_nodes_characters_and_levels(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too much is refused where it begins to be, aliases counted each time, before anything is made of it."""
    monkeypatch.setattr(limits, "YAML_NODES_MAX", 100)
    monkeypatch.setattr(limits, "YAML_CHARACTERS_MAX", 90)
    monkeypatch.setattr(limits, "YAML_DEPTH_MAX", 10)
    with pytest.raises(UserError) as refused:
        Document(text, "f.yml")
    assert str(refused.value) == message


def test_nodes_are_counted_as_they_are_read() -> None:
    """The count is that of the nodes of the plain value, whatever is an alias, and who watches hears of it."""
    text = "- &a {x: &x [1, 2]}\n" + "- *a\n" * 999 + "- *x\n" * 500
    heard: list[int] = []
    document = Document(text, "f.yml", watch=heard.append)
    assert document.nodes == 1 + 1000 * 5 + 500 * 3
    assert len(heard) == document.nodes // 1024


def test_of_many_faults_the_first_are_told() -> None:
    """A hundred faults are told, each shortened, and how many there are besides."""
    text = "".join(f"k{i}: 1\nk{i}: 2\n" for i in range(250)) + "k0: 3\n" * 50
    document = Document(text, "f.yml", unique_keys=True)
    assert document.root is not None
    with pytest.raises(ShapeErrors) as refused:
        document.entries(document.root, "map", "{}", Faults())
    lines = refused.value.message.splitlines()
    assert (len(lines), lines[1]) == (102, '  line 2: mapping key "k0" already defined at line 1')
    assert lines[-1] == "  ... and 200 more"
    long = Faults()
    long.add(Position(1, 1), "x" * 10_000_000)
    with pytest.raises(ShapeErrors, match=re.escape("xxx... (10000000 characters)")) as shown:
        long.raise_any()
    assert len(str(shown.value)) < 5000
