"""Executes the nodes of a template over Go's values, within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.format import default_text
from trimon.gotext.strings import go_quote
from trimon.gotext.values import (
    GoKind,
    GoScalar,
    Interface,
    Pointer,
    Slice,
    Struct,
    Table,
    Value,
    indirect,
    raw,
    type_of,
)
from trimon.templates.evaluation import Evaluation, Scope
from trimon.templates.functions.function import Calling, Function
from trimon.templates.functions.logic import is_true
from trimon.templates.functions.printing import printable
from trimon.templates.nodes import (
    Action,
    Body,
    Branch,
    Invocation,
    Leave,
    Node,
    Pipeline,
    TemplateSource,
    TextNode,
)

_CLOCK_STEPS: Final = 256


class _Left(Exception):
    """A `break` or `continue` on its way to its loop."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Execution:
    """One execution of a template and those it invokes: collects what is printed. Used once."""

    def __init__(
        self,
        bodies: Mapping[str, tuple[Body, TemplateSource]],
        functions: Mapping[str, Function],
        calling: Calling,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bodies = bodies
        self._calling = calling
        self._evaluation = Evaluation(functions, calling)
        self._out: list[str] = []
        self._size = 0
        self._monotonic_s = monotonic_s
        self._end_s = monotonic_s() + limits.TEMPLATE_TIME_MAX_S
        self._look_at = calling.steps_left - _CLOCK_STEPS

    def run(self, name: str, data: Value) -> str:
        """What a template prints for the data. Raises TemplateError."""
        body, source = self._bodies[name]
        self._enter(Scope(name, source, data), data, body)
        return "".join(self._out)

    def _enter(self, scope: Scope, data: Value, body: Body) -> None:
        outer, self._evaluation.scope = self._evaluation.scope, scope
        self._body(data, body)
        self._evaluation.scope = outer

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > limits.TEMPLATE_OUTPUT_BYTES_MAX:
            raise self._evaluation.refusal(f"output is longer than {limits.TEMPLATE_OUTPUT_BYTES_MAX} bytes")
        self._evaluation.spend(len(text) // limits.TEMPLATE_BYTES_PER_STEP)
        self._out.append(text)

    def _watch(self) -> None:
        """Looks at the clock now and then."""
        if self._calling.steps_left < self._look_at:
            self._look_at = self._calling.steps_left - _CLOCK_STEPS
            if self._monotonic_s() > self._end_s:
                raise self._evaluation.refusal(f"template takes more than {limits.TEMPLATE_TIME_MAX_S:g} s")

    def _body(self, dot: Value, body: Body) -> None:
        self._evaluation.at(body)
        self._evaluation.enter()
        try:
            for node in body.nodes:
                self._node(dot, node)
        finally:
            self._evaluation.leave()

    def _node(self, dot: Value, node: Node) -> None:
        self._evaluation.at(node)
        self._evaluation.spend(1)
        self._watch()
        match node:
            case TextNode():
                self._write(node.text)
            case Action():
                self._action(dot, node)
            case Branch(word="range"):
                self._range(dot, node)
            case Branch():
                self._condition(dot, node)
            case Invocation():
                self._invoke(dot, node)
            case Leave():
                raise _Left(node.word)

    def _action(self, dot: Value, node: Action) -> None:
        value = self._evaluation.pipeline(dot, node.pipeline)
        if node.pipeline.variables:
            return
        self._evaluation.at(node)
        if type(value) is not str:
            value = self._text(printable(value))
        self._write(value)

    def _text(self, value: Value) -> str:
        try:
            return default_text(value, limits.TEMPLATE_OUTPUT_BYTES_MAX)
        except UserError as error:
            raise self._evaluation.refusal(error.message) from None

    def _condition(self, dot: Value, node: Branch) -> None:
        """`if`, or `with`, whose body has the value as its dot."""
        scope = self._evaluation.scope
        mark = len(scope.variables)
        value = self._evaluation.pipeline(dot, node.pipeline)
        if is_true(value):
            self._body(value if node.word == "with" else dot, node.body)
        elif node.otherwise is not None:
            self._body(dot, node.otherwise)
        del scope.variables[mark:]

    def _range(self, dot: Value, node: Branch) -> None:
        evaluation, scope = self._evaluation, self._evaluation.scope
        mark = len(scope.variables)
        value, _ = indirect(evaluation.pipeline(dot, node.pipeline))
        inner = len(scope.variables)
        ran = False
        try:
            for index, element in self._items(value, node):
                ran = True
                self._set(node.pipeline, index, element)
                evaluation.spend(1)
                try:
                    self._body(element, node.body)
                except _Left as left:
                    if left.word == "break":
                        break
                finally:
                    del scope.variables[inner:]
            if not ran and node.otherwise is not None:
                self._body(dot, node.otherwise)
        finally:
            del scope.variables[mark:]

    def _items(self, value: Value, node: Branch) -> Any:
        """Pairs of index and element; an index is None where there is none."""
        if value is None or (isinstance(value, Interface) and value.value is None):
            return ()
        if isinstance(value, Slice):
            return enumerate(list(value.items))
        if isinstance(value, Table):
            return sorted(value.entries.items(), key=lambda pair: pair[0].encode("utf-8", "surrogateescape"))
        if not isinstance(value, Pointer | Struct) and type_of(value).kind in (GoKind.INT, GoKind.UINT):
            if len(node.pipeline.variables) > 1:
                shown = self._text(value)
                raise self._evaluation.refusal(f"can't use {shown} to iterate over more than one variable")
            of = type_of(value)
            return ((None, GoScalar(of, n) if isinstance(value, GoScalar) else n) for n in range(raw(value)))
        raise self._evaluation.refusal(f"range can't iterate over {self._text(value)}")

    def _set(self, pipeline: Pipeline, index: Value, element: Value) -> None:
        """The variables of a loop: one is the element, two are index and element."""
        variables = pipeline.variables
        if not variables:
            return
        values = (element,) if len(variables) == 1 else (index, element)
        if pipeline.assigns:
            for variable, value in zip(variables, values, strict=True):
                self._evaluation.assign(variable.names[0], value)
            return
        kept = self._evaluation.scope.variables
        for place, value in zip(range(-len(variables), 0), values, strict=True):
            kept[place] = (kept[place][0], value)

    def _invoke(self, dot: Value, node: Invocation) -> None:
        found = self._bodies.get(node.name)
        if found is None:
            raise self._evaluation.refusal(f"template {go_quote(node.name)} not defined")
        data = self._evaluation.pipeline(dot, node.pipeline) if node.pipeline is not None else None
        body, source = found
        self._enter(Scope(node.name, source, data), data, body)
