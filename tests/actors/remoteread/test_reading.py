"""Queries that read from other servers: what is asked of whom, and what becomes of the answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.asgi import Call
from tests.support.read_world import NOW_MS, WRITE, endpoint, read_world, wave
from trimon.errors import UserError
from trimon.fetch.request import FetchError, Response
from trimon.model.labels import labels_of
from trimon.query import engine
from trimon.remote.read_request import decode_read_request
from trimon.rules.alerting import AlertOrigin
from trimon.rules.reading import RuleReading

M1, M2 = labels_of({"__name__": "m", "i": "1"}), labels_of({"__name__": "m", "i": "2"})


def in_order(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with its series sorted: those of an instant query come in no order."""
    if "data" not in answer:
        return answer
    found = sorted(answer["data"]["result"], key=lambda one: sorted(one["metric"].items()))
    return {**answer, "data": {**answer["data"], "result": found}}


QUERIES = (
    "m",
    "sum(m)",
    "count_over_time(m[300s])",
    "rate(m[2m]) * on (i) max_over_time(m[1m] offset 1m)",
    "sum_over_time(sum(m)[2m:10s])",
)


@pytest.mark.parametrize("sampled", [False, True], ids=["chunks", "samples"])
async def test_another_servers_samples_are_queried_as_if_they_were_here(
    tmp_path: Path, sampled: bool
) -> None:
    """Queries give what the other server gives to them, from chunks as from samples."""
    async with read_world(tmp_path, endpoint()) as here:
        here.wire.sampled = sampled
        await here.write(here.far, (M1, wave(1)), (M2, wave(2)))
        for query in QUERIES:
            wanted = await here.ask(query, where=here.far)
            assert wanted["data"]["result"], query
            assert in_order(await here.ask(query)) == in_order(wanted), query
        label = "sampled" if sampled else "chunked"
        labels = {"remote_name": next(iter(here.reader.endpoints.values())).name, "url": "http://far/read"}
        counted = here.metrics.value(
            "prometheus_remote_read_client_queries_total", {**labels, "response_type": label, "code": "200"}
        )
        assert counted == len(here.wire.requests)
        assert here.metrics.value("prometheus_remote_read_client_queries", labels) == 0
        took = "prometheus_remote_read_client_request_duration_seconds"
        assert here.metrics.value(f"{took}_count", {**labels, "response_type": label}) == counted


@pytest.mark.parametrize("sampled", [False, True], ids=["chunks", "samples"])
async def test_histograms_and_markers_of_staleness(tmp_path: Path, sampled: bool) -> None:
    """Native histograms, with custom bounds too, floats between them and staleness markers come as they are stored there."""
    from tests.web.api.test_oracle import message  # where there are no recordings it skips

    async with read_world(tmp_path, endpoint()) as here:
        here.wire.sampled = sampled
        status, _, _ = await Call("POST", "/api/v1/write", WRITE, message()).to(here.far.client.app)
        assert status == 204
        names = await (await here.far.client.get("/api/v1/label/__name__/values")).get_json()
        assert len(names["data"]) > 3
        found = 0
        for name in names["data"]:
            for query in (f"{name}[1000d]", f"count_over_time({name}[1000d])", f"rate({name}[1000d])"):
                time_ms = NOW_MS + 86_400_000
                wanted = await here.ask(query, time_ms, here.far)
                got = await here.ask(query, time_ms)
                shown = str(in_order(wanted))
                # a message leaves a zero out, with its sign
                assert str(in_order(got)) == (shown.replace("'-0'", "'0'") if sampled else shown), query
                found += "histogram" in str(wanted.get("data"))
        assert found


async def test_samples_here_come_first(tmp_path: Path) -> None:
    """A series that both have is one, and of two samples at one time the one that is stored here counts."""
    async with read_world(tmp_path, endpoint()) as here:
        await here.write(here.far, (M1, [(NOW_MS - 3000, 1.0), (NOW_MS - 2000, 2.0)]), (M2, [(NOW_MS, 9.0)]))
        await here.write(here.near, (M1, [(NOW_MS - 2000, 20.0), (NOW_MS - 1000, 30.0)]))
        (found,) = (await here.ask('m{i="1"}[1m]'))["data"]["result"]
        assert [value for _, value in found["values"]] == ["1", "20", "30"]
        assert await here.result("count(m)") == {"[]": "2"}


async def test_all_selections_of_a_query_are_asked_for_at_once(tmp_path: Path) -> None:
    """Each selection is asked for once, for its own times, in one round."""
    async with read_world(tmp_path, endpoint()) as here:
        await here.write(here.far, (M1, wave(1)), (M2, wave(2)))
        await here.ask(
            'm{i="1"} + ignoring (i) max_over_time(m{i!="1"}[1m] offset 2m) + ignoring (i) m{i="1"}'
        )
        asked = [decode_read_request(body).queries[0] for _, body in here.wire.requests]
        asked.sort(key=lambda each: each.conditions)
        assert [each.conditions for each in asked] == [
            ((0, "i", "1"), (0, "__name__", "m")),
            ((1, "i", "1"), (0, "__name__", "m")),
        ]
        assert [(each.start_ms - NOW_MS, each.end_ms - NOW_MS) for each in asked] == [
            (-299_999, 0),
            (-179_999, -120_000),
        ]
        assert here.near.context.queries.served == 1


async def test_what_local_storage_knows_is_not_asked_for(tmp_path: Path) -> None:
    """Without read_recent times after the beginning of local storage are not asked for, nor is anybody when all are."""
    start_ms = NOW_MS - 100_000
    recent = endpoint("http://far/recent", required_matchers=(("i", "2"),))
    config = endpoint(read_recent=False)
    async with read_world(tmp_path, config, recent, local_start_ms=start_ms) as here:
        await here.write(here.far, (M1, wave(1)), (M2, wave(2)))
        assert await here.result('count_over_time(m{i="1"}[90s])') == {}
        assert not here.wire.requests
        assert await here.result('count_over_time(m{i="1"}[199999ms])') == {"[('i', '1')]": "100"}
        ((url, body),) = here.wire.requests
        (query,) = decode_read_request(body).queries
        assert (url, query.end_ms) == ("http://far/read", start_ms)
        assert await here.result('count_over_time(m{i="2"}[90s])') == {"[('i', '2')]": "90"}
        assert [url for url, _ in here.wire.requests[1:]] == ["http://far/recent"]
        assert await here.result('count_over_time(m{i=~"2"}[90s])') == {}


async def test_external_labels(tmp_path: Path) -> None:
    """External labels are asked for and taken off; who names one gets it; without the filter nothing happens."""
    external = labels_of({"site": "here"})
    far = {"alert_origin": AlertOrigin(lambda: external)}
    async with read_world(tmp_path, endpoint(), external=external, far_changes=far) as here:
        await here.write(here.far, (M1, wave(1)))
        assert list(await here.result("m")) == [str(sorted(M1))]
        assert list(await here.result('m{site="here"}')) == [str(sorted((*M1, ("site", "here"))))]
        assert await here.result('m{site="there"}') == {}
        (query,) = decode_read_request(here.wire.requests[0][1]).queries
        assert (0, "site", "here") in query.conditions
        here.reader.configure([endpoint(filter_external_labels=False)], external)
        assert list(await here.result("m")) == [str(sorted((*M1, ("site", "here"))))]


BROKEN: dict[str, tuple[Response | Exception, str]] = {
    "refused": (FetchError('Post "http://far/bad": refused'), 'error sending request: Post "http://far/bad": refused'),
    "status": (
        Response(500, "Internal Server Error", "text/plain", b"no such thing\n", 1),
        "remote server http://far/bad returned http status 500 Internal Server Error: no such thing",
    ),
    "kind": (Response(200, "OK", "text/html", b"<p>", 1), "unsupported content type: text/html"),
    "no snappy": (Response(200, "OK", "application/x-protobuf", b"\xff", 1), "corrupt input"),
    "cut": (
        Response(200, "OK", "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse", b"\x09abcd", 1),
        "unexpected EOF",
    ),
    "checksum": (
        Response(
            200, "OK", "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse", b"\x01abcdx", 1
        ),
        "checksum mismatch",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
async def test_who_fails_is_told_and_the_query_goes_on(tmp_path: Path, kind: str) -> None:
    """Any failure is a warning; then what others than local storage have is left out, as half an answer would mislead."""
    answer, told = BROKEN[kind]
    async with read_world(tmp_path, endpoint(), endpoint("http://far/bad", name="bad")) as here:
        here.wire.answers["http://far/bad"] = answer
        await here.write(here.far, (M1, wave(1)))
        await here.write(here.near, (M2, [(NOW_MS, 5.0)]))
        got = await here.ask("m")
        assert [one["metric"]["i"] for one in got["data"]["result"]] == ["2"]
        (warning,) = got["warnings"]
        assert warning.startswith("remote_read: ")
        assert told in warning
        asked = {"match[]": "m", "start": str(NOW_MS / 1000 - 10), "end": str(NOW_MS / 1000)}
        series = await (await here.near.client.get("/api/v1/series", query_string=asked)).get_json()
        assert (len(series["data"]), series["warnings"]) == (1, [warning])
        states = (await (await here.near.client.get("/api/v1/trimon/remote_read")).get_json())["data"]
        assert [(one["health"], one["failed"]) for one in states] == [("up", 0), ("down", 2)]
        assert told in states[1]["lastError"]
        failed = {"remote_name": "bad", "url": "http://far/bad"}
        assert here.metrics.value("trimon_remote_read_failed_total", failed) == 2


async def test_series_are_found_and_names_are_not(tmp_path: Path) -> None:
    """/series finds those of others; names and values of labels, federation and plans are of local storage alone."""
    async with read_world(tmp_path, endpoint()) as here:
        await here.write(here.far, (M1, wave(1)))
        get = here.near.client.get
        asked = {"match[]": "m", "start": str(NOW_MS / 1000 - 10), "end": str(NOW_MS / 1000)}
        assert (await (await get("/api/v1/series", query_string=asked)).get_json())["data"] == [dict(M1)]
        before = len(here.wire.requests)
        assert (await (await get("/api/v1/labels", query_string=asked)).get_json())["data"] == []
        assert await (await get("/federate", query_string=asked)).get_data() == ""
        assert (await (await get("/api/v1/explain", query_string={"query": "m"})).get_json())["data"]
        assert len(here.wire.requests) == before


async def test_servers_that_ask_one_another_come_to_an_end(tmp_path: Path) -> None:
    """A request says how many servers stand before it, and the third asks nobody."""
    async with read_world(tmp_path, endpoint()) as here:
        here.wire.far = here.near  # it asks itself
        await here.write(here.near, (M1, wave(1)))
        assert list(await here.result("m")) == [str(sorted(M1))]
        assert [each["x-trimon-read-hops"] for each in here.wire.headers] == ["1", "2", "3"]


async def test_memory_and_frames_are_bounded(tmp_path: Path) -> None:
    """An answer of more than the query may hold ends it with an error that says so; a frame over the limit is a warning."""
    async with read_world(tmp_path, endpoint(chunked_read_limit=50)) as here:
        await here.write(here.far, (M1, wave(1)))
        (warning,) = (await here.ask("m"))["warnings"]
        assert "chunkedReader: message size exceeded the limit 50 bytes" in warning
        here.reader.configure([endpoint()], ())
        options = here.near.context.query_options().with_()

        small = replace(options, bytes_max=4000)
        context: Any = here.near.context

        def nothing(snapshot: Any, budget: Any) -> None:

            engine.instant(snapshot, "m", NOW_MS, small, budget)

        with pytest.raises(Exception, match="answers to remote reads"):
            await context.queries.run("m", small, nothing)


async def test_endpoints_of_a_new_configuration(tmp_path: Path) -> None:
    """Equal sections are refused; one that stays keeps its counts and its connections, those of one that goes are closed."""

    one, two = endpoint(name="one"), endpoint("http://far/two", name="two")
    async with read_world(tmp_path, one, two) as here, trio.open_nursery() as nursery:
        with pytest.raises(
            UserError, match="duplicate remote read configs are not allowed, found duplicate for URL"
        ):
            here.reader.configure([one, one], ())
        nursery.start_soon(here.reader.run)
        await here.write(here.far, (M1, wave(1)))
        await here.ask("m")
        here.reader.configure([two], ())
        await trio.testing.wait_all_tasks_blocked()
        assert here.wire.closed == 1
        (state,) = here.reader.states()
        assert (state["name"], state["asked"]) == ("two", 1)
        # What /metrics says of an endpoint ends with it.
        assert b'remote_name="two"' in (page := here.metrics.expose())
        assert b'remote_name="one"' not in page
        await here.ask("m")
        nursery.cancel_scope.cancel()
    assert here.wire.closed == 2


async def test_rules_of_one_iteration_share_what_was_fetched(tmp_path: Path) -> None:
    """Rules read from others as queries do; two that select the same ask once."""

    async with read_world(tmp_path, endpoint()) as here:
        await here.write(here.far, (M1, wave(1)), (M2, wave(2)))
        options, reading = here.near.context.query_options(), RuleReading()
        for query, wanted in (("count(m)", 2), ('count(m{i="1"})', 1), ("count(m)", 2)):

            def work(snapshot: Any, budget: Any, query: str = query) -> float:
                found = engine.instant(reading.of(snapshot), query, NOW_MS, options, budget)
                return float(found.values[0, 0])

            assert await here.near.context.queries.run(query, options, work) == wanted
        assert len(here.wire.requests) == 2


async def test_many_times_one_after_the_other_are_few_questions(tmp_path: Path) -> None:
    """What is evaluated time by time, as rules that catch up, asks ahead: 300 times take some ten questions, all right."""
    async with read_world(tmp_path, endpoint()) as here:
        await here.write(here.far, (M1, wave(1)), (M2, wave(2)))
        options = here.near.context.query_options()
        times = range(NOW_MS - 300_000, NOW_MS, 1000)

        def work(snapshot: Any, budget: Any) -> list[float]:
            return [
                float(
                    engine.instant(snapshot, "sum(last_over_time(m[1s]))", time_ms, options, budget).values[
                        0, 0
                    ]
                )
                for time_ms in times
            ]

        found = await here.near.context.queries.run("catch up", options, work)
        stored = dict(wave(1))
        assert found == pytest.approx([3 * stored[time_ms] for time_ms in times])
        assert len(here.wire.requests) < 16
