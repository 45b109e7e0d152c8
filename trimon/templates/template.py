"""A parsed template, which is executed often."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trimon.gotext.values import Value
from trimon.templates.execution import Execution
from trimon.templates.functions.function import Calling, Function
from trimon.templates.nodes import Body, TemplateSource
from trimon.templates.parser import parse


class Template:
    """A text with the templates that it defines; any thread may execute it."""

    def __init__(self, name: str, text: str, functions: Mapping[str, Function]) -> None:
        """Parses the text. Raises TemplateError."""
        self.name = name
        self._functions = functions
        self._bodies: dict[str, tuple[Body, TemplateSource]] = {}
        source = TemplateSource(name, text)
        for found, body in parse(source, functions).items():
            self._bodies[found] = (body, source)

    def execute(self, data: Value, calling: Calling, monotonic_s: Callable[[], float] | None = None) -> str:
        """What it prints for the data. Raises TemplateError."""
        if monotonic_s is None:
            return Execution(self._bodies, self._functions, calling).run(self.name, data)
        return Execution(self._bodies, self._functions, calling, monotonic_s).run(self.name, data)
