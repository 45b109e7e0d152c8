"""What Prometheus 3.14 stored of some hundred bodies, played through target, session and store in virtual time."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from tests.support.oracle import recordings
from tests.support.protobuf import varint
from tests.support.store_world import World, world
from trimon.actors.discovery.discovered import Discovered
from trimon.actors.scraping.scrapepool import JobConfig
from trimon.config.load import load_text
from trimon.config.scrape import ScrapeConfig
from trimon.fetch.http1 import ResponseReader
from trimon.fetch.request import Fetch, FetchRequest, FetchTimeout, Response
from trimon.model.components import MarkerFlags, Part, is_marker, marker_flags
from trimon.model.frame import SampleFrame
from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import SampleBatch
from trimon.model.spans import indexes
from trimon.server.jobs import pool_options

CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in recordings("scrape/cases.jsonl")}

# Not done yet, refused or warned of by name.
LATER = {
    "synth-text": "the feature st-synthesis",
}
PLAYED = sorted(CASES.keys() - LATER.keys())
START_MS = 1_700_000_000_000


def rendered(text: str, t0: int) -> str:
    """A text with its times, which are relative to T0."""
    text = re.sub(r"\{\{ms:([+-][0-9]+)\}\}", lambda match: str(t0 + int(match[1])), text)
    return re.sub(r"\{\{s:([+-][0-9]+)\}\}", lambda match: f"{(t0 + int(match[1])) / 1000:.3f}", text)


@dataclass
class Target:
    """The target of a case: answers in order, then 503; notes what the server says of it before each request."""

    case: dict[str, Any]
    here: World
    snapshots: list[tuple[str, str]] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    metadata: list[list[str]] = field(default_factory=list)

    @property
    def t0(self) -> int:
        return self.times_ms[0] // 1000 * 1000

    def note(self) -> None:
        """What the targets page and the metadata show now."""
        for session in self.here.manager.scrape_pools[self.case["name"]].sessions.values():
            self.snapshots.append((session.state.health, session.state.last_error))
            found = session.families.items()
            self.metadata = sorted([name, one.type, one.help, one.unit] for name, one in found)
            break

    async def send(self, request: FetchRequest) -> Response:
        """The next answer."""
        self.times_ms.append(self.here.clock.now_ms())
        number = len(self.times_ms) - 1
        if number:
            self.note()
        if number >= len(self.case["responses"]):
            return Response(503, "Service Unavailable", "", b"", 0)
        return await self.answer(self.case["responses"][number], request)

    async def answer(self, answer: dict[str, Any], request: FetchRequest) -> Response:
        body = self.body(answer)
        if answer.get("delay"):
            await trio.sleep(request.timeout_s)
            raise FetchTimeout(f'Get "{request.url}": context deadline exceeded')
        headers = dict(answer.get("headers") or {})
        if headers.get("Location") and "follow_redirects" not in self.case.get("scrape_config", ""):
            return Response(200, "OK", "text/plain", self.case["redirect_body"].encode(), 0)
        if answer.get("gzip"):
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        status = answer.get("status", 200)
        lines = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            *(f"{name}: {text}" for name, text in headers.items()),
        ]
        lines.append(f"Content-Length: {len(body) + answer.get('missing', 0)}")
        reader = ResponseReader(request.body_bytes_max)
        if not reader.feed("\r\n".join(lines).encode() + b"\r\n\r\n" + body):
            reader.end()
        return reader.response()

    def body(self, answer: dict[str, Any]) -> bytes:
        if "body_b64" in answer:
            body = bytearray(base64.b64decode(answer["body_b64"]))
            for patch in answer.get("patch") or []:
                time_ms = self.t0 + patch["offset"]
                number = varint(time_ms if patch["unit"] == "ms" else time_ms // 1000)
                body[patch["at"] : patch["at"] + patch["len"]] = number
            return bytes(body)
        return rendered(answer.get("body", ""), self.t0).encode("utf-8", "surrogateescape")

    def stream(self, request: FetchRequest) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing to close."""


_REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 302: "Found", 304: "Not Modified", 404: "Not Found",
    500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


def config_of(case: dict[str, Any]) -> ScrapeConfig:
    """The job of a case, read as from a file."""
    lines = [line.replace("{address}", "h:1") for line in case.get("scrape_config", "").split("\n") if line]
    labels = {**(case.get("target_labels") or {}), "case": case["name"]}
    targets = [target.replace("{address}", "h:1") for target in case.get("targets") or ["{address}"]]
    text = "\n  ".join(
        [
            f"scrape_configs:\n- job_name: '{case['name']}'",
            "scrape_interval: 4s",
            *lines,
            f"static_configs: [{{targets: {json.dumps(targets)}, labels: {json.dumps(labels)}}}]",
        ]
    )
    return load_text(text, "prometheus.yml").scrape_configs[0]


async def play(case: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Scrapes the target of a case until its answers are used up; what there is then, as it is recorded."""
    config = config_of(case)
    features = case.get("features") or []
    async with world(directory, start_ms=START_MS) as here:
        warm = SampleBatch(
            ((("__name__", "warm"),),), np.zeros(1, np.int32), np.array([START_MS]), np.ones(1)
        )
        await here.writer.append(warm)  # a store that knows what time it is
        targets: list[Target] = []

        def client() -> Fetch:
            targets.append(Target(case, here))
            return targets[-1]

        options = pool_options(config, features)
        here.manager.configure([JobConfig(options, "1", client)])
        label_sets = tuple(
            {**dict(group.labels), "__address__": target}
            for group in config.static_configs
            for target in group.targets
        )
        here.manager._mailbox.send_nowait(Discovered(case["name"], label_sets))  # what discovery does
        with trio.move_on_after(4 * len(case["responses"]) + 4.5):
            while not targets or len(targets[0].times_ms) <= len(case["responses"]):  # noqa: ASYNC110 # virtual time
                await trio.sleep(0.05)
        if targets and not targets[0].times_ms:
            targets[0].note()  # nothing was asked, and the page says why
        return outcome(case, here, targets)


def outcome(case: dict[str, Any], here: World, targets: list[Target]) -> dict[str, Any]:
    """What was stored, in the form of the recordings."""
    first = targets[0] if targets else None
    scrapes = len(case["responses"])
    series = stored(here, case["name"])
    if case.get("targets"):  # the recordings are of the first
        series = [(labels, points) for labels, points in series if labels.get("instance") == "{address}"]
    times = sorted({time for labels, points in series if labels["__name__"] == "up" for time, _ in points})[
        :scrapes
    ]
    stamps = {time: f"s{number + 1}" for number, time in enumerate(times)}
    t0 = first.t0 if first is not None and first.times_ms else 0

    def stamp(time: int) -> str:
        return stamps.get(time) or f"T0{time - t0:+d}"

    found = {}
    for labels, points in series:
        kept = [[stamp(time), shown(value)] for time, value in points if not times or time <= times[-1]]
        if labels["__name__"] == "scrape_duration_seconds" and "x" not in labels:
            kept = [[time, "stale" if value == "stale" else "duration"] for time, value in kept]
        if kept:
            found[key(labels)] = kept
    exemplars = here.store.exemplars.query([[Matcher("case", MatchType.EQUAL, case["name"])]], 0, 2**50)
    listed = [
        {
            "labels": addressed(labels),
            "exemplars": [[stamp(one.timestamp_ms), dict(one.labels), f"{one.value:g}"] for one in of_series],
        }
        for labels, of_series in exemplars
    ]
    return {
        "scrapes": first.snapshots[:scrapes] if first is not None else [],
        "series": found,
        "exemplars": sorted(listed, key=lambda one: json.dumps(one["labels"], sort_keys=True)),
        "metadata": first.metadata if first is not None else [],
        "t0": t0,
    }


Value = float | dict[str, Any]


def stored(here: World, case: str) -> list[tuple[dict[str, str], list[tuple[int, Value]]]]:
    """All series of a case with their samples, staleness markers among them."""
    selection = here.storage.snapshot().select([Matcher("case", MatchType.EQUAL, case)], 0, 2**50)
    frame = selection.frame(0, 2**50)
    out = []
    for row in range(frame.rows):
        times, values = samples_of(frame, row)
        labels = addressed(selection.labels.labels(row))
        points: list[tuple[int, Value]] = list(zip(times.tolist(), values.tolist(), strict=True))
        for at in np.flatnonzero(is_marker(values)).tolist():
            points[at] = (points[at][0], histogram_at(frame, row, points[at][0], values[at : at + 1]))
        out.append((labels, points))
    return out


def samples_of(frame: SampleFrame, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of a row."""
    values = frame.values[frame.offsets[row] : frame.offsets[row] + frame.lengths[row]]
    array = frame.time_of_row[row]
    return frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]], values


def histogram_at(frame: SampleFrame, row: int, time_ms: int, marker: np.ndarray) -> dict[str, Any]:
    """The histogram of a row at a time, as the recordings have it, but with buckets by index, without empty ones."""
    native = frame.native
    assert native is not None
    numbers: dict[tuple[int, Part, int], float] = {}
    for component in np.flatnonzero(native.row == row).tolist():
        times, values = samples_of(native.frame, component)
        here = values[times == time_ms]
        if len(here) and not np.isnan(here[0]):
            part = Part(int(native.part[component]))
            numbers[int(native.layout[component]), part, int(native.index[component])] = float(here[0])
    counts = [layout for layout, part, _ in numbers if part is Part.COUNT]
    assert len(counts) == 1
    layout = native.layouts[counts[0]]
    flags = MarkerFlags(int(marker_flags(marker)[0]))
    is_float = MarkerFlags.FLOAT in flags

    def number(part: Part) -> str:
        value = numbers.get((counts[0], part, 0), 0.0)
        return repr(value) if is_float or part is Part.SUM else str(int(value))

    found: dict[str, Any] = {"schema": layout.schema, "zero_threshold": repr(layout.zero_threshold)}
    found |= {"count": number(Part.COUNT), "sum": number(Part.SUM), "zero_count": number(Part.ZERO)}
    for side, part in (("positive", Part.POSITIVE), ("negative", Part.NEGATIVE)):
        buckets = {
            index: value for (_, which, index), value in numbers.items() if which is part and value != 0
        }
        if buckets:
            found[side] = dict(sorted(buckets.items()))
    if layout.schema == CUSTOM_SCHEMA:
        found["custom_values"] = [repr(bound) for bound in layout.custom_values]
    if is_float:
        found["float"] = True
    if MarkerFlags.GAUGE in flags:
        found["gauge"] = True
    return found


def recorded_histogram(recorded: dict[str, Any]) -> dict[str, Any]:
    """A recorded histogram in the form of `histogram_at`: what reset hint it has depends on where chunks begin."""
    found = {name: value for name, value in recorded.items() if name not in ("hint", "positive", "negative")}
    for side in ("positive", "negative"):
        if side in recorded:
            spans = tuple(map(tuple, recorded[side]["spans"]))
            counts = map(float, recorded[side]["buckets"])
            buckets = {index: count for index, count in zip(indexes(spans), counts, strict=True) if count}
            if buckets:
                found[side] = buckets
    if recorded["hint"] == "gauge":
        found["gauge"] = True
    return found


def addressed(labels: Labels) -> dict[str, str]:
    return {name: value.replace("h:1", "{address}") for name, value in labels}


def key(labels: dict[str, str]) -> str:
    return json.dumps(labels, sort_keys=True, ensure_ascii=False)


def shown(value: Value) -> str | dict[str, Any]:
    """A value as the recordings write it."""
    if isinstance(value, dict):
        return value
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    if bits == 0x7FF0000000000002:
        return "stale"
    if math.isnan(value):
        return "NaN" if bits == 0x7FF8000000000001 else f"NaN:{bits:016x}"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "0.0" if value == 0 else repr(value)


@pytest.fixture
def autojump_clock() -> MockClock:
    """Virtual time that jumps as soon as everyone waits."""
    return MockClock(autojump_threshold=0)


@pytest.mark.skipif(not CASES, reason="the recordings are not beside the repository")
@pytest.mark.parametrize("name", PLAYED)
async def test_as_recorded(name: str, tmp_path: Path, autojump_clock: MockClock) -> None:
    """Health, last error, samples with staleness markers, exemplars and metadata are those of 3.14."""
    case = CASES[name]
    found = await play(case, tmp_path)
    t0, wanted = found.pop("t0"), case["result"]

    def text(recorded: str) -> str:
        return rendered(recorded, t0).replace("{address}", "h:1")

    def value(recorded: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(recorded, dict):
            return recorded_histogram(recorded)
        if recorded == "stale histogram":
            return "stale"  # the series' own marker says it of floats and of histograms
        return shown(float(rendered(recorded, t0))) if recorded.startswith("{{") else recorded

    assert found["scrapes"] == [
        (one.get("health"), text(one.get("last_error", ""))) for one in wanted["scrapes"]
    ]
    assert found["series"] == {
        key(one["labels"]): [[time, value(sample)] for time, sample in one["samples"]]
        for one in wanted["series"]
    }
    assert found["exemplars"] == [
        {"labels": one["labels"], "exemplars": [[time, *rest] for time, *rest in one["exemplars"]]}
        for one in wanted["exemplars"]
    ]
    assert found["metadata"] == wanted["metadata"]


@pytest.mark.skipif(not CASES, reason="the recordings are not beside the repository")
def test_what_is_left_out_is_known() -> None:
    """Every recorded case is played, or on a list of those that are not done."""
    assert CASES.keys() == set(PLAYED) | LATER.keys()
    assert len(PLAYED) > 300
