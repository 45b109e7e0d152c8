"""Blocks copied to an S3-compatible store that others wrote, and what is in it then."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.storage.block.test_blocks import maintain
from tests.storage.conftest import START_MS, Bench, batch, series
from tests.support.moto import moto
from tests.support.process import peer
from trimon.actors.storage.shipper import BlockShipper, ShipperCounts, ShipperPlace
from trimon.clock import WallClock
from trimon.config.load import load_text
from trimon.config.own.shipper import BlockShipperConfig
from trimon.errors import OperatingError
from trimon.fetch.request import Fetch, FetchRequest, Response
from trimon.files import DiskFiles
from trimon.log import LogBuffer
from trimon.offload import InlineOffload
from trimon.peers import s3
from trimon.server.parts.shipper import _connect
from trimon.storage.prometheus.thanos import FOLDER, ShippedBlocks

boto3: Any = pytest.importorskip("boto3", reason="moto is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore")

HOUR_MS = 3_600_000
KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "data")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> Any:
    """A bucket of the test's own."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name)[-50:].strip("-")
    resource = boto3.resource("s3", region_name="eu-west-1", endpoint_url=endpoint, **KEYS)
    return resource.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def config_of(endpoint: str, bucket: Any, more: str = "") -> BlockShipperConfig:
    text = (
        f"trimon_block_shipper: {{bucket: {bucket.name}, endpoint: '{endpoint}', prefix: p/q, interval: 1s,"
        f" sigv4: {{region: eu-west-1, access_key: AKIDEXAMPLE, secret_key: secret}}{more}}}\n"
    )
    found = load_text(text, "p.yml").main.trimon_block_shipper
    assert found is not None
    return found


def filled(bench: Bench, hours: int) -> None:
    """A block of two hours for every second hour, and a head."""
    for hour in range(0, hours + 1, 2):
        time_ms = START_MS + hour * HOUR_MS
        bench.clock.value_ms = time_ms
        bench.append(
            batch(*((series("m", s=str(place)), time_ms, float(hour + place)) for place in range(50)))
        )
        bench.clock.value_ms += HOUR_MS * 2
        maintain(bench)


class Shipping:
    """A shipper over a bench."""

    def __init__(self, bench: Bench, config: BlockShipperConfig, connect: Any = _connect) -> None:
        self.shipped = ShippedBlocks(DiskFiles(), bench.options.path / FOLDER)
        self.shipped.load()
        self.counts, self.log = ShipperCounts(), LogBuffer()
        place = ShipperPlace(config, {"cluster": "a", "replica": "1"})
        self.actor = BlockShipper(
            place, bench.store, self.shipped, connect, InlineOffload(), WallClock(), self.log, self.counts
        )
        bench.store.hold_blocks(self.shipped.is_held)

    async def until(self, uploads: int, failures: int = 0) -> None:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.actor.run)
                while self.counts.uploads < uploads or self.counts.failures < failures:  # noqa: ASYNC110 - counts are plain
                    await trio.sleep(0.05)
                nursery.cancel_scope.cancel()


async def test_blocks_are_copied_in_thanos_layout(
    endpoint: str, bucket: Any, bench: Bench, tmp_path: Path
) -> None:
    """Each block is there once, meta.json with labels and files; promtool reads what was copied, sample for sample."""
    filled(bench, 4)
    blocks = [meta.ulid for meta, _ in bench.store.blocks()]
    assert len(blocks) >= 2
    shipping = Shipping(bench, config_of(endpoint, bucket))
    await shipping.until(len(blocks))
    keys = sorted(each.key for each in bucket.objects.all())
    assert keys == sorted(
        f"p/q/{ulid}/{name}" for ulid in blocks for name in ("chunks/000001", "index", "meta.json")
    )
    meta = json.loads(bucket.Object(f"p/q/{blocks[0]}/meta.json").get()["Body"].read())
    assert meta["ulid"] == blocks[0]
    assert meta["thanos"]["labels"] == {"cluster": "a", "replica": "1"}
    sizes = {each["rel_path"]: each.get("size_bytes") for each in meta["thanos"]["files"]}
    assert sizes["index"] == bucket.Object(f"p/q/{blocks[0]}/index").content_length
    assert not (bench.options.path / FOLDER / "work").exists()
    for key in keys:
        file = tmp_path / "got" / key.removeprefix("p/q/")
        file.parent.mkdir(parents=True, exist_ok=True)
        bucket.download_file(key, str(file))
    (tmp_path / "got" / "wal").mkdir()
    command = [peer("promtool"), "tsdb", "dump", str(tmp_path / "got")]
    dumped = (await trio.run_process(command, capture_stdout=True)).stdout
    copied = [meta for meta, _ in bench.store.blocks()]
    assert len(dumped.splitlines()) == sum(each.samples for each in copied)


async def test_nothing_is_copied_twice(endpoint: str, bucket: Any, bench: Bench) -> None:
    """Not after a restart, nor when what says so is lost; merges wait for the copy and are not copied themselves."""
    filled(bench, 4)
    before = {meta.ulid for meta, _ in bench.store.blocks()}
    config = config_of(endpoint, bucket)
    first = Shipping(bench, config)
    filled(bench, 12)
    present = {meta.ulid for meta, _ in bench.store.blocks()}
    assert before <= present  # nothing was merged meanwhile
    await first.until(len(present))
    stamps = {each.key: each.last_modified for each in bucket.objects.all()}
    assert Shipping(bench, config).shipped.sources >= present
    (bench.options.path / FOLDER / "shipped.json").unlink()
    await Shipping(bench, config).until(len(present))
    assert {each.key: each.last_modified for each in bucket.objects.all()} == stamps
    assert any("merge" in done for done in maintain(bench))
    again = Shipping(bench, config)
    assert again.shipped.waiting([meta for meta, _ in bench.store.blocks()]) == []
    assert again.shipped.half([meta for meta, _ in bench.store.blocks()]) == []


async def test_large_files_go_in_parts(
    endpoint: str, bucket: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file beyond the size of a part is put together from parts, byte for byte."""
    monkeypatch.setattr(s3, "PART_BYTES", 5 * 2**20)  # the least that S3 takes for all but the last
    data = bytes(range(256)) * (12 * 2**12)
    target = s3.Bucket(_connect(config_of(endpoint, bucket)), config_of(endpoint, bucket).base, 30.0)

    async def read(begin: int, count: int) -> bytes:
        return data[begin : begin + count]

    await target.put("x/large", read, len(data))
    assert bucket.Object("p/q/x/large").get()["Body"].read() == data
    assert await target.has("x/large")
    assert not await target.has("x/absent")


class Cutting:
    """A client whose requests fail from some number on."""

    def __init__(self, fetch: Fetch, good: int) -> None:
        self._fetch = fetch
        self._good = good

    async def send(self, request: FetchRequest) -> Response:
        self._good -= 1
        if self._good < 0:
            return Response(503, "Slow Down", "", b"<Error><Code>SlowDown</Code></Error>", 0)
        return await self._fetch.send(request)

    async def aclose(self) -> None:
        await self._fetch.aclose()


@pytest.mark.parametrize("good", [0, 1, 2, 3])
async def test_a_copy_that_was_cut_is_done_again(endpoint: str, bucket: Any, bench: Bench, good: int) -> None:
    """A store that refuses in between is told with its reason; no meta.json is there before all of its block is."""
    filled(bench, 2)
    (ulid,) = [meta.ulid for meta, _ in bench.store.blocks()][:1]
    config = config_of(endpoint, bucket)
    cut = Shipping(bench, config, lambda each: Cutting(_connect(each), good))
    await cut.until(0, failures=1)
    assert f"p/q/{ulid}/meta.json" not in {each.key for each in bucket.objects.all()}
    (told,) = [
        str(fields["err"]) for _, message, fields in cut.log.entries if message == "a block cannot be copied"
    ][:1]
    assert f" {endpoint}/{bucket.name}/p/q/{ulid}/" in told
    assert told.endswith("503 Slow Down (SlowDown)")
    await Shipping(bench, config).until(len(bench.store.blocks()))
    assert f"p/q/{ulid}/meta.json" in {each.key for each in bucket.objects.all()}


def test_what_was_copied_is_not_guessed(tmp_path: Path) -> None:
    """A damaged file is an error that names it."""
    (tmp_path / "shipped.json").write_text("{")
    with pytest.raises(OperatingError, match=r"shipped\.json"):
        ShippedBlocks(DiskFiles(), tmp_path).load()


def test_half_copied_and_held_blocks(bench: Bench) -> None:
    """A block of sources that were copied in part is named; one that waits is held for two days."""
    filled(bench, 2)
    meta = bench.store.blocks()[0][0]
    shipped = ShippedBlocks(DiskFiles(), bench.options.path / FOLDER)
    assert shipped.is_held(meta, meta.max_ms + HOUR_MS)
    assert not shipped.is_held(meta, meta.max_ms + 49 * HOUR_MS)
    shipped.sources = frozenset((meta.ulid,))
    assert not shipped.is_held(meta, meta.max_ms)
    mixed = replace(meta, ulid="other", sources=(meta.ulid, "unknown"))
    assert shipped.half([mixed, meta]) == [mixed]
    assert shipped.waiting([mixed, meta]) == []
