"""What is counted of query backends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from trimon.actors.querying.backends import QueryBackends
from trimon.config import load_text
from trimon.fetch.request import FetchError, FetchRequest, Response
from trimon.log import LogBuffer
from trimon.offload import InlineOffload
from trimon.query.execution.grid import Grid
from trimon.query.language.options import QueryOptions


def configs(*names: str) -> Any:
    text = "".join(f"  - {{name: {name}, url: 'http://{name}:1'}}\n" for name in names)
    return load_text(f"trimon_query_backends:\n{text}", "p.yml").main.trimon_query_backends


async def test_counts_end_with_the_backend() -> None:
    """Reloads that rename backends leave no counts of the old ones, nor do queries that are under way at a reload."""
    reloads: list[str] = []

    class Away:
        async def send(self, request: FetchRequest) -> Response:
            """A reload takes place, and nobody answers."""
            if reloads:
                backends.configure(configs(reloads.pop(0)), ())
            raise FetchError(f"{request.method}: nobody is there")

        async def aclose(self) -> None:
            """Nothing to close."""

    backends = QueryBackends(
        lambda: 10**9,
        lambda _: SimpleNamespace(send=Away().send, aclose=Away().aclose),
        InlineOffload(),
        LogBuffer(),
    )
    backends.configure(configs("one", "two"), ())
    for _ in range(2):
        await backends.part("m", Grid(0, 1000, 10), QueryOptions(), ranged=True)
    assert {name: (each.queries, each.failures) for name, each in backends.counts.items()} == {
        "one": (2, 2),
        "two": (2, 2),
    }
    backends.configure(configs("two", "three"), ())
    assert {name: each.queries for name, each in backends.counts.items()} == {"two": 2}
    reloads.append("four")
    await backends.part("m", Grid(0, 1000, 10), QueryOptions(), ranged=True)
    assert list(backends.counts) == []
