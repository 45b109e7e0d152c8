"""A function that templates may call, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from trimon import limits
from trimon.gotext.values import GoKind, GoType, Value
from trimon.model.histogram import FloatHistogram
from trimon.records import dataclass
from trimon.templates.errors import CallError

# The type of parameters that take a value as it is, the untyped nil included.
REFLECTED: Final = GoType("reflect.Value", GoKind.STRUCT)


@dataclass(frozen=True, slots=True)
class QuerySample:
    """One sample of a query's result."""

    labels: Mapping[str, str]
    value: float | FloatHistogram


class QueryFunction(Protocol):
    """Answers `query` in a template, at the time of the execution; a scalar is one sample without labels.

    It may block. What is wrong is raised as a UserError or an OperatingError.
    """

    def __call__(self, expression: str, /) -> Sequence[QuerySample]:
        """The samples in order."""
        ...


class Expander(Protocol):
    """Executes another template of the same set, for `tmpl`."""

    def __call__(self, name: str, data: Value, /) -> str:
        """What it prints."""
        ...


@dataclass(slots=True)
class Calling:
    """What one execution gives its functions: where it is, and what it may still spend."""

    query: QueryFunction
    time_ms: int
    external_url: str
    steps_left: int = limits.TEMPLATE_STEPS_MAX
    expand: Expander | None = None
    depth: int = 0

    def spend(self, steps: int) -> None:
        """Counts work. Raises CallError when there was too much."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise CallError(f"template takes more than {limits.TEMPLATE_STEPS_MAX} steps")

    def spend_text(self, *texts: str) -> None:
        """Counts what it takes to read or write texts."""
        self.spend(sum(len(text) for text in texts) // limits.TEMPLATE_BYTES_PER_STEP)


@dataclass(frozen=True, slots=True)
class Function:
    """One row of the table: parameters, the type of further ones, and what is done.

    `results` other than 1 cannot be used in a template, as in Go; `builtin` are those of the language.
    """

    name: str
    call: Callable[..., Any]
    parameters: tuple[GoType, ...] = ()
    variadic: GoType | None = None
    builtin: bool = False
    refusal: str = ""
