"""Bodies that programs push, and the paths of their groups."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.conftest import series
from trimon.errors import UserError
from trimon.model.labels import labels_of
from trimon.scrape.pushed import grouping_of, read_push

NOW_MS = 1_700_000_000_000
GROUP = labels_of({"job": "backup", "instance": "a"})
TEXT = "text/plain; version=0.0.4"


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ("job/backup", {"job": "backup"}),
        (
            "job/backup/instance/a:1/path@base64/L3Zhci90bXA",
            {"job": "backup", "instance": "a:1", "path": "/var/tmp"},
        ),
        ("job@base64/YS9i/", {"job": "a/b"}),
        ("job/x/empty@base64/=", {"job": "x"}),
    ],
)
def test_paths_are_labels(path: str, labels: dict[str, str]) -> None:
    """A path is pairs of labels and values; encoded ones may hold slashes, or be empty."""
    assert grouping_of(path) == labels_of(labels)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("job", "has no value"),
        ("job/", "has no value"),
        ("job//", "has no value"),
        ("job/x/instance", "has no value"),
        ("job/x/__name__/y", "improper label name"),
        ("job/x/a/1/a/2", "is there twice"),
        ("jobs/x", "begins with a job"),
        ("job@base64/=", "job name is required"),
        ("job/x/a@base64/a", "is not base64"),
        ("job/x/a@base64/_w", "is not base64 of a text"),
    ],
)
def test_bad_paths(path: str, words: str) -> None:
    """A path that names no group is an error."""
    with pytest.raises(UserError, match=words):
        grouping_of(path)


def test_labels_of_the_group_count_more() -> None:
    """Every series gets the labels of its group, whatever it has under their names; families are told apart."""
    body = (
        '# TYPE a counter\na_total{job="x",k="1"} 1\n# TYPE h histogram\n'
        'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 3\nh_sum 4\nh_count 3\nplain 5\n'
    )
    found = read_push(body.encode(), TEXT, GROUP, NOW_MS)
    assert found.families["a"].series == (series("a_total", job="backup", instance="a", k="1"),)
    assert {dict(labels)["__name__"] for labels in found.families["h"].series} == {
        "h_bucket",
        "h_sum",
        "h_count",
    }
    assert found.families["plain"].values.tolist() == [5.0]
    assert ("h", "histogram", "", "") in found.metadata


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("a 1 1700000000000\n", "must not have timestamps"),
        ("a 1\na 1\n", "twice"),
        ('a{job="x"} 1\na{job="y"} 2\n', "twice"),
        ("push_time_seconds 1\n", "server's own"),
        ("a\n", "expected value"),
        ('a{b="c} 1\n', "expected"),
    ],
)
def test_bad_bodies(body: str, words: str) -> None:
    """A body with times, series twice, or lines that are none is refused as a whole."""
    with pytest.raises(UserError, match=words):
        read_push(body.encode(), TEXT, GROUP, NOW_MS)


PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


@given(st.binary(max_size=100), st.sampled_from([TEXT, "", PROTOBUF]))
def test_any_bytes(body: bytes, content_type: str) -> None:
    """Whatever comes is series or an error of its sender."""
    with contextlib.suppress(UserError):
        read_push(body, content_type, GROUP, NOW_MS)
