"""What clouds have in common: credentials with each request, lists in pages, and a mapping from items to targets.

    ask(first page) ─ items, name of the next page ─ ask(next) ─ … ─ last page ─ mapping ─ one group

A list ends: the number of its pages and of its items is bounded, and a page that was there before is an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from trimon import limits
from trimon.discovery.asking.api import Api
from trimon.discovery.asking.naming import host_port
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.plugin import Context, TargetGroup
from trimon.records import dataclass

T = TypeVar("T")
Labels: TypeAlias = dict[str, str]

PAGES_MAX: Final = 10_000
# A filter may leave a page without an item; so many in a row are a list that never ends.
EMPTY_PAGES_MAX: Final = 100
# More items than this are mapped in a thread.
MAP_INLINE_MAX: Final = 100
SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, and what names the next part; nothing does after the last one."""

    items: Sequence[T]
    following: str = ""


async def all_pages(ask: Callable[[str], Awaitable[Page[T]]], first: str = "") -> list[T]:
    """The items of all pages, the first of which has that name. Raises SourceError where there is no end."""
    found: list[T] = []
    seen = {first}
    name, empty = first, 0
    for _ in range(PAGES_MAX):
        page = await ask(name)
        empty = 0 if page.items else empty + 1
        if empty > EMPTY_PAGES_MAX:
            raise SourceError(f"the list never ends: more than {EMPTY_PAGES_MAX} pages in a row have no item")
        found.extend(page.items)
        if len(found) > limits.TARGETS_PER_PUBLISH_MAX:
            raise SourceError(f"the list has more than {limits.TARGETS_PER_PUBLISH_MAX} items")
        if not page.following:
            return found
        name = page.following
        if name in seen:
            raise SourceError(f"the list never ends: page {name[:SHOWN]!r} comes again")
        seen.add(name)
    raise SourceError(f"the list has more than {PAGES_MAX} pages")


class CloudDiscovery(RefreshDiscovery):
    """A cloud that is asked for its lists; each request may take as long as the interval."""

    def __init__(self, context: Context, interval_ms: int, port: int = 0) -> None:
        super().__init__(context, interval_ms / 1000)
        self.api = Api(context, self.interval_s)
        self.port = port

    def address(self, host: str) -> str:
        """`__address__` of a host."""
        return host_port(host, self.port)

    async def group(
        self, source: str, items: Sequence[T], labels_of: Callable[[T], Labels | None]
    ) -> list[TargetGroup]:
        """The one group of all items that have labels, mapped in a thread where they are many."""

        def targets() -> list[Mapping[str, str]]:
            return [labels for item in items if (labels := labels_of(item)) is not None]

        return [TargetGroup(source, await self.worked(len(items), targets))]

    async def worked(self, items: int, work: Callable[[], T]) -> T:
        """The result of work on as many items, done in a thread where they are many."""
        return await self.context.offload.run(work) if items > MAP_INLINE_MAX else work()
