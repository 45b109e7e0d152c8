"""Answers that are almost right: each value of a good one replaced by what a broken or hostile server may say."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from trimon.discovery.asking.refresh import TROUBLE, RefreshDiscovery
from trimon.discovery.doubles import PreparedFetch, context_of_doubles
from trimon.discovery.plugin import Context, TargetGroup
from trimon.discovery.sink import check_groups
from trimon.fetch.request import FetchRequest, Response

Answers = Mapping[str, bytes | str | Response | Exception]

VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    float("nan"),
    "",
    "x:y/z",
    "\ud800",
    [],
    [None],
    [[]],
    [{}],
    {},
    {"a": 1},
)
BODIES: Final = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b"[null]",
    b"1",
    b'"x"',
    b"<",
    b"\xff\x00",
    b"[" * 100_000,
    b"{]" * 10,
)


def json_variants(body: bytes | str) -> Iterator[bytes]:
    """The bodies that differ from a JSON text in one value, and some that are none at all."""
    yield from BODIES
    value = json.loads(body)
    for path in _paths(value):
        for odd in VALUES:
            changed = copy.deepcopy(value)
            place = changed
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = odd
            yield json.dumps(changed).encode()


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


class Rude(PreparedFetch):
    """Answers as prepared, whatever is asked after the `?`; no more than so many times, so that a loop shows."""

    most = 2000

    async def send(self, request: FetchRequest) -> Response:
        """The prepared answer; an assertion fails where a discovery asks for ever."""
        assert len(self.requests) < self.most, "it asks for ever"
        plain = request.url.partition("?")[0]
        if request.url not in self.answers and plain in self.answers:
            answer = await super().send(replace(request, url=plain))
            self.requests[-1] = request
            return answer
        return await super().send(request)


async def survives(
    make: Callable[[Context], RefreshDiscovery],
    answers: Answers,
    variants: Callable[[bytes | str], Iterator[bytes]] = json_variants,
) -> int:
    """How many variants of answers were understood; each other one was trouble, and no bug."""
    understood = 0
    for url, good in answers.items():
        told = good if isinstance(good, Response) else None
        body = told.body if told is not None else good
        assert isinstance(body, bytes | str)
        for odd in variants(body):
            bad = replace(told, body=odd) if told is not None else odd
            discovery = make(context_of_doubles(fetch=Rude({**answers, url: bad})))
            understood += await _outcome(discovery)
    return understood


async def _outcome(discovery: RefreshDiscovery) -> bool:
    try:
        groups = list(await discovery.refresh())
        assert all(isinstance(group, TargetGroup) for group in groups)
        check_groups(groups)
    except TROUBLE:
        return False
    return True
