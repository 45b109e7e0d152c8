"""What is sent to receivers, beside what a real 3.14 sent: every recorded scenario, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.support.oracle import recorded
from tests.support.sending_world import Received, Receiver, Reply, sending_config, sending_world
from trimon.errors import UserError

CASES = {case["id"]: case for case in recorded("remote/sender.jsonl")}
REFUSED = sorted(name for name, case in CASES.items() if "start_error" in case)
# Rules are evaluated by a server alone (tests/server/test_remote_write_sent.py has all of one).
OF_SERVERS = {"v1_rules"}
# By design, see docs/comparison.md: a stop does not wait for a receiver that does not answer; no start timestamps are stored.
BY_DESIGN = {"v1_slow_timeout": {"stop"}, "v2_start_ts_storage": {"samples", "histograms"}}
PLAYED = sorted(CASES.keys() - set(REFUSED) - OF_SERVERS)
OUR_OWN = {"host", "user-agent", "content-length", "retry-attempt", "accept-encoding"}


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


def near(one: float, other: float, least: float = 2) -> bool:
    """Whether two counts are the same, but for the chance of a beginning and an end."""
    return abs(one - other) <= max(least, one / 3)


def aligned(one: list[str], other: list[str]) -> bool:
    """Whether one list is the other one, shifted or cut by at most two."""
    if not near(len(one), len(other)):
        return False
    for shift in range(-2, 3):
        left, right = (one[shift:], other) if shift >= 0 else (one, other[-shift:])
        both = min(len(left), len(right))
        if left[:both] == right[:both] and (both or not one or not other):
            return True
    changes, others = runs(one), runs(other)
    return [value for value, _ in changes] == [value for value, _ in others] and all(
        abs(a - b) <= 1 for (_, a), (_, b) in zip(changes[:-1], others[:-1], strict=True)
    )


def runs(values: list[str]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for value in values:
        if found and found[-1][0] == value:
            found[-1] = (value, found[-1][1] + 1)
        else:
            found.append((value, 1))
    return found


def carried(messages: Iterable[dict[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """By series what messages carry of it, a sample that is repeated once; times and durations do not count."""
    found: dict[str, dict[str, list[str]]] = {}
    seen: set[tuple[str, str, Any, str]] = set()
    for message in messages:
        for series in message.get("timeseries", []):
            key = json.dumps(series["labels"], sort_keys=True)
            entry = found.setdefault(key, {"samples": [], "histograms": [], "exemplars": [], "metadata": []})
            if (
                "metadata" in series
                and (told := json.dumps(series["metadata"], sort_keys=True)) not in entry["metadata"]
            ):
                entry["metadata"].append(told)
            for kind in ("samples", "histograms", "exemplars"):
                for point in series.get(kind, []):
                    value = {name: point[name] for name in point if name != "timestamp"}
                    if "scrape_duration_seconds" in key and value.get("value") != "stale":
                        value = {}
                    text = json.dumps(value, sort_keys=True)
                    if (key, kind, point.get("timestamp"), text) not in seen:
                        seen.add((key, kind, point.get("timestamp"), text))
                        entry[kind].append(text)
    return found


def replies(case: dict[str, Any]) -> Any:
    """The answers of the recorded receiver."""

    def reply(since_s: float) -> Reply:
        status, headers = 204, {}
        for at_s, code, told in case["replies"]:
            if since_s >= at_s:
                status, headers = code, dict(told)
        return status, headers, b"" if status == 204 else b"reply text %d\nsecond line" % status

    return reply


async def played(case: dict[str, Any], directory: Path) -> tuple[list[Received], float]:
    """The requests of a scenario, and how long its stop took."""
    receiver = Receiver(replies(case), sleep_s=case["sleep"], counts_written=not case["no_written"])
    features = tuple(name for flag in case["flags"] for name in flag.partition("=")[2].split(","))
    config = sending_config(json.dumps(case["config"]))
    async with sending_world(directory, config, receiver, features, case["target"]) as here:
        await receiver.begun.wait()
        assert receiver.first_s is not None
        await trio.sleep_until(receiver.first_s + case["stop_begin"])
        here.world.manager.stopping = True
        began_s = trio.current_time()
    return receiver.requests, trio.current_time() - began_s


@pytest.mark.parametrize("name", PLAYED)
async def test_a_scenario_is_sent_as_recorded(name: str, tmp_path: Path, autojump_clock: MockClock) -> None:
    """Paths, headers, answers by status, attempts, waits, batches, and of every series all samples in their order."""
    case, but = CASES[name], BY_DESIGN.get(name, set())
    with trio.fail_after(600):
        got, stop_s = await played(case, tmp_path)
    listed = case["requests"]
    if "stop" in but:
        listed = [each for each in listed if each["t"] <= case["stop_begin"]]
        got = [each for each in got if each.t <= case["stop_begin"]]
    want = [
        Received(
            each["t"],
            each["path"],
            {header.lower(): value for header, value in each["headers"].items()},
            int(each["reply"] or 0),
            b"",
        )
        for each in listed
    ]
    messages = [each.get("message", {}) for each in listed]
    ours = [each.message for each in got]
    assert {each.path for each in got} == {each.path for each in want}
    assert heads(got) == heads(want)
    codes = {each.status for each in want}
    assert {each.status for each in got} == codes
    for code in codes:
        assert near(sum(r.status == code for r in want), sum(r.status == code for r in got), 3), code
    assert near(max(r.attempt for r in want), max(r.attempt for r in got)), [r.attempt for r in got]
    if any("Retry-After" in headers for _, _, headers in case["replies"]):
        gaps = [max(b.t - a.t for a, b in pairwise(each) if a.status != 204) for each in (want, got)]
        assert abs(gaps[0] - gaps[1]) < 1.2
    for taken in (True, False):
        theirs, mine = (
            carried(
                message for message, r in zip(bodies, requests, strict=True) if (r.status == 204) is taken
            )
            for bodies, requests in ((messages, want), (ours, got))
        )
        assert theirs.keys() == mine.keys(), (taken, theirs.keys() ^ mine.keys())
        for key, entry in theirs.items():
            assert entry["metadata"] == mine[key]["metadata"], key
            for kind in {"samples", "histograms", "exemplars"} - but:
                assert aligned(entry[kind], mine[key][kind]), (taken, key, kind, entry[kind], mine[key][kind])
    told = [
        {json.dumps(family, sort_keys=True) for message in bodies for family in message.get("metadata", [])}
        for bodies in (messages, ours)
    ]
    assert told[0] == told[1]
    limit = case["config"]["remote_write"][0]["queue_config"].get("max_samples_per_send")
    if limit:
        assert largest(messages) == largest(ours) == limit
    if "stop" not in but:
        assert near(case["stop_end"] - case["stop_begin"], stop_s, 2.5)


def heads(requests: list[Received]) -> set[str]:
    return {
        json.dumps({name: r.headers[name] for name in r.headers if name not in OUR_OWN}, sort_keys=True)
        for r in requests
    }


def largest(messages: list[dict[str, Any]]) -> int:
    return max(
        sum(
            len(series.get("samples", [])) + len(series.get("histograms", []))
            for series in message.get("timeseries", [])
        )
        for message in messages
    )


@pytest.mark.parametrize("name", REFUSED)
def test_a_section_is_refused_as_recorded(name: str) -> None:
    """What 3.14 does not start with is refused in its words."""
    with pytest.raises(UserError) as raised:
        sending_config(json.dumps(CASES[name]["config"]))
    assert raised.value.message.replace("p.yml", "{dir}/prometheus.yml") in CASES[name]["start_error"]
