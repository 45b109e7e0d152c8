"""InfluxDB's line protocol."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.conftest import series
from trimon.errors import UserError
from trimon.model.labels import Labels
from trimon.remote.pushed.influx import PRECISIONS_NS, InfluxReader

NOW_MS = 1_700_000_000_000


def read(text: str | bytes, unit: str = "ns", database: str = "") -> list[tuple[Labels, int, float]]:
    body = text.encode() if isinstance(text, str) else text
    found = InfluxReader([("added", "x")] if database else ()).read(
        body, PRECISIONS_NS[unit], NOW_MS, database
    )
    names = list(found.series)
    batch = found.batch()
    assert len(batch.values) == len(found.numbers)
    return [
        (names[number], time_ms, value)
        for number, time_ms, value in zip(found.numbers, found.times_ms, found.values, strict=True)
    ]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("cpu,host=a usage=1.5 1700000000000000000", [(series("cpu_usage", host="a"), NOW_MS, 1.5)]),
        (
            "m a=1i,b=-2i,c=3u",
            [(series("m_a"), NOW_MS, 1.0), (series("m_b"), NOW_MS, -2.0), (series("m_c"), NOW_MS, 3.0)],
        ),
        ("m a=t,b=FALSE 1000000", [(series("m_a"), 1, 1.0), (series("m_b"), 1, 0.0)]),
        ('m s="a, b=\\" c",v=2 1999999', [(series("m_v"), 1, 2.0)]),
        (r"my\ m\,x,t\ a=v\=1\,2 f\ x=1e3 0", [(series("my_m_x_f_x", t_a="v=1,2"), 0, 1000.0)]),
        ('m,t="q" v=1 0', [(series("m_v", t='"q"'), 0, 1.0)]),
        ("# a comment\n\n  m v=1 -1000000 \r\n", [(series("m_v"), -1, 1.0)]),
        ("m,p=C:\\dir v=1 0", [(series("m_v", p="C:\\dir"), 0, 1.0)]),
    ],
)
def test_lines(line: str, wanted: Any) -> None:
    """Measurement and field make the name, tags are labels, times come in their unit, strings are left out."""
    assert read(line) == wanted


def test_units_and_databases() -> None:
    """The time counts in the unit of the request; a database is a label that a tag may replace."""
    assert read("m v=1 1700000000", "s") == [(series("m_v"), NOW_MS, 1.0)]
    assert read("m v=1 28333333", "m")[0][1] == 28333333 * 60_000
    assert read("m,k=1 v=1 0", database="d") == [(series("m_v", added="x", db="d", k="1"), 0, 1.0)]
    assert read("m,db=own v=1 0", database="d") == [(series("m_v", added="x", db="own"), 0, 1.0)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("m", "measurement, fields"),
        (",a=b v=1", "no measurement"),
        ("m,a v=1", "is not name=value"),
        ("m,=b v=1", "is not name=value"),
        ("m v=", "is not name=value"),
        ("m v=1x", "is no number"),
        ("m v=1_0", "is no number"),
        ("m v=1.5i", "is no integer"),
        ("m v=-1u", "without a sign"),
        ("m v=" + "9" * 5000 + "i", "is no integer"),
        ("m v=1 now", "is no integer"),
        ("m v=1 " + "9" * 20, "beyond all times"),
        ('m v="open', "is not name=value|is no integer"),
        ("m v=1 1 1", "measurement, fields"),
    ],
)
def test_bad_lines(line: str, words: str) -> None:
    """A bad line is an error that names it, and what is wrong; nothing of the request is taken."""
    with pytest.raises(UserError, match=f"line 2: .*({words})"):
        read(f"good v=1 0\n{line}", "s" if "9" * 20 in line else "ns")


_WORDS = st.lists(
    st.sampled_from(["m", ",", "=", " ", "\\", '"', "v=1", "t=x", "1", "i", "\n", "#", "é"]), max_size=20
)


@given(st.binary(max_size=80) | _WORDS.map("".join).map(str.encode))
def test_any_bytes(body: bytes) -> None:
    """Whatever comes is samples or an error of its sender."""
    with contextlib.suppress(UserError):
        read(body)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("m,a=" + "x" * 300_000 + " f=1", "more than 262144 characters in the value of label 'a'"),
        ("m," + "x" * 20_000 + "=1 f=1", "more than 16384 characters in label name"),
        ("m," + ",".join(f"t{number}=1" for number in range(600)) + " f=1", "601 labels in a series"),
    ],
)
def test_labels_beyond_a_limit_are_told(line: str, words: str) -> None:
    """A line whose series is beyond a limit fails with its place, so that nothing of the request is stored."""
    with pytest.raises(UserError, match=f"line 2: .*{words}"):
        read(f"ok f=1\n{line}")
