"""From the label sets of a job to its targets, those that were there before at the cost of a look.

    label sets of discovery ─┬ the same object as last time ── what it became then ──────────┐
      (groups that did not   └ another one ── relabeling, URL, key: 40 microseconds ─────────┴─ targets, dropped, errors
       change keep theirs)

Of 50,000 pods some change every second. Everything is built anew when the job changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from trimon.actors.kernel.spec import ChildSpec
from trimon.errors import UserError
from trimon.records import dataclass
from trimon.scrape.options import PoolOptions
from trimon.scrape.target import DroppedTarget, Target, build_target

LabelSet: TypeAlias = Mapping[str, str]
MakeSpec: TypeAlias = Callable[[Target, str], ChildSpec]


@dataclass(slots=True)
class BuiltTargets:
    """What became of the label sets of a job."""

    targets: dict[str, Target] = field(default_factory=dict)
    dropped: list[DroppedTarget] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    forced: str = ""
    """Why no target is scraped."""
    specs: dict[str, ChildSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What one build made of label sets, by their identity, and of targets, by their keys."""

    options: PoolOptions | None = None
    made: Mapping[int, tuple[LabelSet, Target | DroppedTarget | UserError]] = field(default_factory=dict)
    specs: Mapping[str, tuple[Target, str, ChildSpec]] = field(default_factory=dict)


class TargetBuilder:
    """Remembers what the last label sets became. From any thread: of builds side by side the last one is remembered.

    The label sets are those that discovery keeps: nobody changes them, and as long as they are remembered here their
    identity is theirs alone.
    """

    def __init__(self) -> None:
        self._last = _Remembered()

    def build(self, label_sets: Sequence[LabelSet], options: PoolOptions, spec_of: MakeSpec) -> BuiltTargets:
        """Targets by key, in the order of their label sets; of equal ones the last."""
        last = self._last if self._last.options is options else _Remembered()
        built, before, now = BuiltTargets(), last.made, {}
        for index, labels in enumerate(label_sets):
            known = before.get(id(labels))
            if known is None:
                known = (labels, _made(labels, options))
            now[id(labels)] = known
            made = known[1]
            if isinstance(made, Target):
                # Of those that are the same target the last is shown.
                built.targets[made.key] = made
            elif isinstance(made, DroppedTarget):
                built.dropped.append(made)
            else:
                built.errors.append(f"instance {index}: {made}")
        limit, count = options.target_limit, len(built.targets)
        if limit and count > limit:
            built.forced = f"target_limit exceeded (number of targets: {count}, limit: {limit})"
        specs = {}
        for key, target in built.targets.items():
            spec = last.specs.get(key)
            if spec is None or spec[0] is not target or spec[1] != built.forced:
                spec = (target, built.forced, spec_of(target, built.forced))
            specs[key] = spec
            built.specs[key] = spec[2]
        self._last = _Remembered(options, now, specs)
        return built


def _made(labels: LabelSet, options: PoolOptions) -> Target | DroppedTarget | UserError:
    try:
        return build_target(labels, options)
    except UserError as error:
        # With its traceback it would hold the frames of its making.
        return error.with_traceback(None)
