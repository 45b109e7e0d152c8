"""The contract between trimon and whoever finds targets: what a discovery is, what it is given, what it says.

A discovery is an object with `async run(sink)`, made by a factory `factory(options, context)`; a class whose
constructor takes the two is one. The same for what comes with trimon and for plug-ins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Protocol

from trimon.clock import Clock
from trimon.fetch.request import Fetch
from trimon.log import Log
from trimon.offload import Offload
from trimon.records import dataclass


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Targets that come and go together.

    `source` names the group within its discovery: the same source replaces what it said before. Each target
    is a set of labels, with `__address__` unless relabeling makes one; `labels` are common to all, a target's
    own label wins.
    """

    source: str
    targets: Sequence[Mapping[str, str]] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_addresses(
        cls, source: str, addresses: Iterable[str], labels: Mapping[str, str] | None = None
    ) -> TargetGroup:
        """A group of targets that have nothing but an address (`host:port`)."""
        return cls(source, tuple({"__address__": address} for address in addresses), labels or {})


@dataclass(frozen=True, slots=True)
class CheckedGroups:
    """Groups that `check_groups` has looked at, each target with all its labels; `publish` takes them as they are."""

    by_source: Mapping[str, tuple[Mapping[str, str], ...]]
    targets: int


class Sink(Protocol):
    """Where a discovery says what it found."""

    def publish(self, groups: Iterable[TargetGroup] | CheckedGroups) -> None:
        """Say what is known, on the event loop's thread; it returns at once.

        The first publish of a run is complete: sources that it does not name are gone. Later ones name what
        changed: a group with targets replaces its source's, a group without removes it, sources not named stay.
        Publish nothing rather than a part of the truth. Raises BadPublish for what breaks the contract. It costs
        some microseconds a target: thousands are first looked at with `check_groups`, in a thread.
        """
        ...


class Discovery(Protocol):
    """Finds targets."""

    async def run(self, sink: Sink) -> None:
        """Publish, wait, publish again, for ever; returning means that nothing will change any more.

        Raise freely: it is started again after a delay, and its last targets stay meanwhile.
        """
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a discovery may use of the outside world. Tests give it doubles."""

    name: str
    """What it is called in the tree and in logs."""
    fetch: Fetch
    """An HTTP client; `await context.fetch.send(FetchRequest(url))`."""
    clock: Clock
    """The wall clock. Waiting is `trio.sleep`."""
    offload: Offload
    """For what blocks: `await context.offload.run(function)`."""
    log: Log
    another_fetch: Callable[[], Fetch] | None = None
    """Makes a further client with the same options, for requests side by side; its maker closes it."""

    def further_fetch(self) -> Fetch:
        """A client of its own for requests that run beside others; doubles give the one there is."""
        return self.another_fetch() if self.another_fetch is not None else self.fetch


class Factory(Protocol):
    """Makes a discovery; raising UserError says that the options are wrong."""

    def __call__(self, options: Mapping[str, object], context: Context) -> Discovery:
        """A discovery that has done nothing yet."""
        ...
