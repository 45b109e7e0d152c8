"""Status: configuration, flags, runtime, build, storage."""

from __future__ import annotations

from dataclasses import asdict

import orjson

from trimon.errors import UserError
from trimon.model.matcher import anchored, compile_regexp, full_match
from trimon.web.context import WebContext
from trimon.web.exposition.protojson import protojson
from trimon.web.exposition.selffamilies import families_of
from trimon.web.http.answer import Answer, ApiError, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Parameter
from trimon.web.http.request import Request
from trimon.web.management import build_info


def status_endpoints(context: WebContext) -> list[Endpoint]:
    """/status/*."""

    async def config(_: Request) -> Answer:
        return success({"yaml": context.config_yaml()})

    async def flags(_: Request) -> Answer:
        return success(dict(sorted(context.flags.items())))

    async def described_flags(_: Request) -> Answer:
        return success(list(context.described_flags))

    async def runtime(_: Request) -> Answer:
        return success(dict(context.runtime()))

    async def build(_: Request) -> Answer:
        return success(build_info())

    async def blocks(_: Request) -> Answer:
        return success({"blocks": [orjson.loads(meta.to_json()) for meta, _ in context.store.blocks()]})

    async def storage(_: Request) -> Answer:
        figures = asdict(context.store.figures())
        return success({"problems": context.store.problems, "figures": figures})

    async def self_metrics(request: Request) -> Answer:
        text = request.query().get("metric_name_pattern", "")
        try:
            pattern = compile_regexp(anchored(text)) if text else None
        except UserError as error:
            raise ApiError("bad_data", f"invalid metric_name_pattern: {error.message}") from None
        collected = list(context.metrics.collected())

        def work() -> Answer:
            shown = [
                protojson(each)
                for each in families_of(collected)
                if pattern is None or full_match(pattern, each.name)
            ]
            return success(b"".join((b"[", b",".join(shown), b"]")))

        return await context.offload.run(work)

    async def replay(_: Request) -> Answer:
        done, total = context.store.replay_progress
        return success({"min": 0, "max": max(0, total - 1), "current": max(0, done - 1)})

    return [
        Endpoint(
            API_PREFIX + "/status/config",
            ("GET",),
            config,
            summary="Shows the configuration in effect, secrets masked.",
        ),
        Endpoint(API_PREFIX + "/status/flags", ("GET",), flags, summary="Shows the flags in effect."),
        Endpoint(
            API_PREFIX + "/trimon/flags",
            ("GET",),
            described_flags,
            own=True,
            summary="Lists all flags: value, default, whether the command line has it, and what it is for.",
        ),
        Endpoint(
            API_PREFIX + "/status/runtimeinfo",
            ("GET",),
            runtime,
            summary="Shows since when and how the server runs.",
        ),
        Endpoint(API_PREFIX + "/status/buildinfo", ("GET",), build, summary="Shows the version."),
        Endpoint(API_PREFIX + "/status/tsdb/blocks", ("GET",), blocks, summary="Lists the blocks."),
        Endpoint(
            API_PREFIX + "/status/storage",
            ("GET",),
            storage,
            own=True,
            summary="Shows faults of the data directory, and all figures of the store.",
        ),
        Endpoint(
            API_PREFIX + "/status/walreplay",
            ("GET",),
            replay,
            summary="Shows how far the log has been read at the start.",
        ),
        Endpoint(
            API_PREFIX + "/status/self_metrics",
            ("GET",),
            self_metrics,
            summary="Shows the server's own metrics.",
            parameters=(Parameter("metric_name_pattern", "A regular expression for whole names."),),
        ),
    ]
