"""Answers of queries as Arrow streams, beside the same answers as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.storage.conftest import series
from tests.support.asgi import Call
from tests.support.histogram_rows import batch_of
from tests.support.web_world import WebWorld, web_world
from trimon.model.arrow import STREAM_TYPE
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.web.api.querying.queries import asks_for_arrow

NATIVE = FloatHistogram(1, 0.5, 2.0, 9.0, 12.5, Buckets.of(3, (4.0, 3.0)), Buckets.of(0, ()))


async def asked(here: WebWorld, path: str, accept: str = STREAM_TYPE) -> Any:
    return await here.client.get(f"/api/v1/{path}", headers={"accept": accept})


async def filled(here: WebWorld) -> float:
    """A counter, a series that ends, a native histogram; the time of the last samples in seconds."""
    now_ms = here.world.clock.now_ms()
    samples: list[Any] = []
    for step in range(5):
        time_ms = now_ms - (4 - step) * 15_000
        samples += [(series("m", s="a"), time_ms, step + 0.5), (series("h"), time_ms, NATIVE)]
        if step < 3:
            samples.append((series("m", s="b", extra='q"\n'), time_ms, float(step)))
    here.world.store.append([batch_of(samples)])
    return now_ms / 1000


def table_of(answer: Any) -> pa.Table:
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, STREAM_TYPE)
    return pa.ipc.open_stream(answer.body).read_all()


def rows_of(table: pa.Table) -> dict[str, list[list[Any]]]:
    """Samples by labels, as the JSON has them."""
    found: dict[str, list[list[Any]]] = {}
    for row in table.to_pylist():
        labels = {name: value for name, value in row["labels"].items() if value is not None}
        if row["histogram"] is None:
            at_s = row["timestamp"].timestamp()
            found.setdefault(json.dumps(labels, sort_keys=True), []).append([at_s, row["value"]])
    return found


def as_json(answer: Any) -> dict[str, list[list[Any]]]:
    return {
        json.dumps(each["metric"], sort_keys=True): [
            [at_s, float(value)] for at_s, value in (each["values"] if "values" in each else [each["value"]])
        ]
        for each in json.loads(answer.body)["data"]["result"]
        if "values" in each or "value" in each
    }


@pytest.mark.parametrize("expr", ["m", "m[1m]", "rate(m[1m])", "vector(1)", "absent(m)", "m * 2 > 3"])
async def test_the_same_samples_as_in_json(expr: str, tmp_path: Path) -> None:
    """Instant vectors, range vectors and matrices have the samples, times and labels that the JSON has."""
    async with web_world(tmp_path) as here:
        now_s = await filled(here)
        query = expr.replace("[", "%5B").replace("]", "%5D").replace(" ", "%20").replace(">", "%3E")
        paths = [f"query?query={query}&time={now_s}"]
        if "[1m]" not in expr or "rate" in expr:
            paths.append(f"query_range?query={query}&start={now_s - 60}&end={now_s}&step=15")
        for path in paths:
            table = table_of(await asked(here, path))
            assert rows_of(table) == as_json(await asked(here, path, "application/json"))


async def test_histograms_scalars_and_what_is_said_beside(tmp_path: Path) -> None:
    """A native histogram is a structure beside a null value; a scalar one row; warnings stand in the metadata."""
    async with web_world(tmp_path) as here:
        now_s = await filled(here)
        (row,) = table_of(await asked(here, f"query?query=h&time={now_s}")).to_pylist()
        assert row["value"] is None
        assert row["histogram"]["positive"] == [{"index": 3, "count": 4.0}, {"index": 4, "count": 3.0}]
        assert [row["histogram"][name] for name in ("count", "sum", "zero_count", "schema")] == [
            9.0,
            12.5,
            2.0,
            1,
        ]
        table = table_of(await asked(here, f"query?query=1.5&time={now_s}"))
        assert [(row["value"], row["labels"]) for row in table.to_pylist()] == [(1.5, {"__name__": None})]
        assert table.schema.metadata[b"resultType"] == b"scalar"
        told = table_of(await asked(here, f"query?query=rate(m%5B1m%5D)&time={now_s}")).schema.metadata
        assert "counter" in json.loads(told[b"infos"])[0]
        cut = table_of(await asked(here, f"query?query=m&time={now_s}&limit=1"))
        assert json.loads(cut.schema.metadata[b"warnings"]) == ["results truncated due to limit"]


async def test_what_cannot_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings and a server without the extra are 406 with the reason; errors of queries stay JSON."""
    async with web_world(tmp_path) as here:
        answer = await asked(here, "query?query=%22x%22")
        assert answer.status_code == 406
        assert json.loads(answer.body)["errorType"] == "not_acceptable"
        assert (await asked(here, "query?query=%28")).status_code == 400
        plain = await asked(here, "query?query=1", "application/json, */*")
        assert json.loads(plain.body)["status"] == "success"
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        answer = await asked(here, "query?query=1")
        assert answer.status_code == 406
        assert "trimon[arrow]" in json.loads(answer.body)["error"]


@pytest.mark.parametrize("expr", ["vector(1)", "nothing", "1"])
async def test_an_answer_without_labels_can_be_written_as_parquet(expr: str, tmp_path: Path) -> None:
    """Where no series has a label the structure of labels has a field of nulls: Parquet takes no empty structure."""
    async with web_world(tmp_path) as here:
        table = table_of(await asked(here, f"query?query={expr}"))
    assert table.flatten().schema.names[-1] == "labels.__name__"
    pyarrow.parquet.write_table(table, tmp_path / "answer.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "answer.parquet").equals(table)


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_an_arrow_answer_varies_with_the_type_that_is_accepted(encoding: str, tmp_path: Path) -> None:
    """No cache gives an answer in Arrow to a client that asks for JSON, packed or not."""
    async with web_world(tmp_path) as here:
        headers = {"accept": STREAM_TYPE, "accept-encoding": encoding}
        _, answered, _ = await Call("GET", "/api/v1/query?query=vector(1)", headers).to(here.client.app)
    names = [each.strip() for each in dict(answered)[b"vary"].split(b",")]
    assert names == [b"Origin", b"Accept", *([b"Accept-Encoding"] if encoding else [])]


@pytest.mark.parametrize(
    ("accept", "arrow"),
    [
        (STREAM_TYPE, True),
        (f"application/json, {STREAM_TYPE}", True),
        (f"{STREAM_TYPE};q=0.5, */*;q=0.1", True),
        (f"{STREAM_TYPE.upper()} ; Q=0.5", True),
        (f"{STREAM_TYPE};q=0", False),
        (f"{STREAM_TYPE};q=0.000", False),
        (f"application/json, {STREAM_TYPE};q=0.1", False),
        (f"application/json;q=0.1, {STREAM_TYPE};q=0.2", True),
        (f"{STREAM_TYPE};q=many", True),
        (f"x{STREAM_TYPE}", False),
    ],
)
def test_who_takes_arrow(accept: str, arrow: bool) -> None:
    """The type counts where it is named with a weight that is not 0, nor below that of JSON."""

    class Asked:
        def header(self, name: str) -> str:
            return accept if name == "accept" else ""

    asking: Any = Asked()
    assert asks_for_arrow(asking) == arrow
