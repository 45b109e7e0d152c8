"""`trimon query`: answers as promtool prints them, and what is filled in where nothing is said."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.support.commandline import run_trimon
from tests.support.process import Server, running
from trimon.cli.resulttext import result_text

HISTOGRAM = {
    "count": "3.5",
    "sum": "-1e-7",
    "buckets": [
        [1, "-2", "-1", "1"],
        [3, "-0.001", "0.001", "1"],
        [0, "1000000", "+Inf", "1.5"],
        [2, "1", "2", "1e+21"],
    ],
}
SHOWN = (
    "Count: 3.500000, Sum: -0.000000, "
    "Buckets: [[-2,-1):1 [-0.001,0.001]:1 (1e+06,+Inf]:1.5 (1,2):1000000000000000000000]"
)


def test_histograms_are_printed_with_their_buckets() -> None:
    """Of a vector one, of a matrix those behind the numbers of a series; one without buckets has an empty list."""
    vector = [
        {"metric": {"__name__": "h", "a": "b"}, "histogram": [1.5, HISTOGRAM]},
        {"metric": {}, "value": [1.5, "1e-7"]},
    ]
    assert result_text({"resultType": "vector", "result": vector}).splitlines() == [
        f'h{{a="b"}} => {SHOWN} @[1.5]',
        "{} => 0.0000001 @[1.5]",
    ]
    matrix = [
        {"metric": {"__name__": "h"}, "histograms": [[1, HISTOGRAM], [2, {"count": "0", "sum": "NaN"}]]},
        {"metric": {"__name__": "i"}, "values": [[1, "3"]], "histograms": [[2, HISTOGRAM]]},
    ]
    assert result_text({"resultType": "matrix", "result": matrix}).splitlines() == [
        "h =>",
        f"{SHOWN} @[1]",
        "Count: 0.000000, Sum: NaN, Buckets: [] @[2]",
        "i =>",
        "3 @[1]",
        f"{SHOWN} @[2]",
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("ask") / "data", None) as server:
        yield server


def test_a_range_without_times_is_that_of_promtool(server: Server) -> None:
    """It ends now, is five minutes long, and has a step of a second."""
    ran = run_trimon("query", "range", "-o", "json", server.url, "vector(1)")
    times = [moment for moment, _ in json.loads(ran.stdout)[0]["values"]]
    assert times[-1] - times[0] == 300
    assert len(times) == 301
    assert abs(times[-1] - time.time()) < 60


@pytest.mark.parametrize(
    ("options", "step_s"),
    [
        (("--end=1000", "--start=0"), 4),
        (("--end=1970-01-01T00:16:40Z",), 1),
        (("--end=1000", "--step=1m"), 60),
        (("--end=1000", "--start=1970-01-01T00:00:00Z", "--step=7"), 7),
    ],
)
def test_what_a_range_is_not_told_is_filled_in(options: tuple[str, ...], step_s: int, server: Server) -> None:
    """The step is a 250th of the range in whole seconds, and what is given is taken."""
    ran = run_trimon("query", "range", *options, "-o", "json", server.url, "vector(1)")
    times = [moment for moment, _ in json.loads(ran.stdout)[0]["values"]]
    assert times[1] - times[0] == step_s
    assert 1000 - times[-1] < step_s


def test_a_range_of_no_time_is_refused(server: Server) -> None:
    """What is no time is named."""
    ran = run_trimon("query", "range", "--end=soon", server.url, "vector(1)")
    assert (ran.exit_code, ran.stderr) == (1, 'trimon: error: cannot parse "soon" to a valid timestamp\n')
