"""The front end over a small world without network: a test client and what stands behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.asgi import Client
from tests.support.store_world import World, world
from trimon.actors.querying.gate import Queries
from trimon.actors.rules.history import AlertHistory, history_mailbox
from trimon.files import DiskFiles
from trimon.offload import InlineOffload
from trimon.query.language.options import QueryOptions
from trimon.rules.history import HistoryFiles
from trimon.selfmetrics import SelfMetrics
from trimon.web.app import create_app
from trimon.web.context import WebContext, WebOptions
from trimon.web.http.endpoint import Endpoint


@dataclass
class WebWorld:
    """What tests look at."""

    world: World
    context: WebContext
    metrics: SelfMetrics
    client: Client

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows of the table of routes."""
        found: tuple[Endpoint, ...] = vars(self.client.app)["_table"].endpoints
        return found


def context_of(here: World, metrics: SelfMetrics, options: WebOptions) -> WebContext:
    """A context over a world; what a test needs otherwise it replaces."""

    async def nothing() -> None:
        return None

    async def no_plan(text: str, name: str, watch_s: float = 0.0) -> Mapping[str, object]:
        return {"text": text, "name": name, "watch_s": watch_s}

    offload = InlineOffload()
    return WebContext(
        options=options,
        log=here.log,
        clock=here.clock,
        offload=offload,
        metrics=metrics,
        queries=Queries(here.storage.snapshot, offload, here.clock, concurrency_max=4),
        query_options=QueryOptions,
        snapshot=here.storage.snapshot,
        store=here.store,
        writer=here.writer,
        clean_tombstones=nothing,
        ready=here.storage.replayed.is_set,
        scrape_pools=lambda: here.manager.scrape_pools,
        rules=list,
        alert_history=AlertHistory(
            HistoryFiles(DiskFiles(), here.store.options.path, 1 << 20), history_mailbox(), offload, here.log
        ),
        alertmanagers=lambda: ((), ()),
        tree=lambda: here.root,
        plugins=list,
        reload=nothing,
        plan_config=no_plan,
        apply_config=no_plan,
        quit=lambda: True,
        config_yaml=str,
        flags={},
        runtime=dict,
        mask=lambda labels: labels,
    )


@asynccontextmanager
async def web_world(
    directory: Path, options: WebOptions | None = None, changes: Mapping[str, Any] | None = None
) -> AsyncIterator[WebWorld]:
    """A running world with its front end; `changes` replace fields of the context."""
    async with world(directory) as here:
        metrics = SelfMetrics()
        context = replace(context_of(here, metrics, options or WebOptions()), **(changes or {}))
        yield WebWorld(here, context, metrics, Client(create_app(context)))
