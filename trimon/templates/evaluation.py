"""Evaluates pipelines: operands, fields, methods and calls, by the rules of Go's reflection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.strings import go_quote
from trimon.gotext.values import (
    ANY,
    GoKind,
    GoScalar,
    GoType,
    Interface,
    Pointer,
    Struct,
    Table,
    Value,
    indirect,
    inside,
    type_of,
    zero,
)
from trimon.templates.errors import CallError, TemplateError, located
from trimon.templates.functions.function import REFLECTED, Calling, Function
from trimon.templates.functions.logic import is_true
from trimon.templates.functions.methods import method_of
from trimon.templates.nodes import (
    Bool,
    Chain,
    Command,
    Dot,
    Field,
    Identifier,
    Nil,
    Node,
    NumberNode,
    Pipeline,
    String,
    TemplateSource,
    Variable,
)


class _Missing:
    """That a pipeline's first command has no value from one before."""


_MISSING: Final = _Missing()


class Scope:
    """Where an execution is: the template, its source, and the variables that are seen, the newest last."""

    __slots__ = ("name", "source", "variables")

    def __init__(self, name: str, source: TemplateSource, data: Value) -> None:
        self.name = name
        self.source = source
        self.variables: list[tuple[str, Value]] = [("$", data)]


class Evaluation:
    """Evaluates what is in actions, for one execution."""

    def __init__(self, functions: Mapping[str, Function], calling: Calling) -> None:
        self._functions = functions
        self._calling = calling
        self._node: Node | None = None
        self.scope = Scope("", TemplateSource("", ""), None)

    def at(self, node: Node) -> None:
        """Notes the node that an error would be told at."""
        self._node = node

    def refusal(self, message: str) -> TemplateError:
        """An error at the present node."""
        node, scope = self._node, self.scope
        assert node is not None
        source = node.source or scope.source
        line, column = source.line(node.position), source.column(node.position)
        where = f"template: {source.name}:{line}:{column}: executing {go_quote(scope.name)} at <{node}>: "
        return located(where + message, source.name, line, column + 1)

    def spend(self, steps: int) -> None:
        """Counts work."""
        try:
            self._calling.spend(steps)
        except CallError as error:
            raise self.refusal(error.message) from None

    def enter(self) -> None:
        """One level down. Raises TemplateError when that is too deep."""
        self._calling.depth += 1
        if self._calling.depth > limits.TEMPLATE_DEPTH_MAX:
            raise self.refusal(f"template is nested more than {limits.TEMPLATE_DEPTH_MAX} deep")

    def leave(self) -> None:
        """One level up."""
        self._calling.depth -= 1

    def assign(self, name: str, value: Value) -> None:
        """Sets the newest variable of a name."""
        variables = self.scope.variables
        for place in range(len(variables) - 1, -1, -1):
            if variables[place][0] == name:
                variables[place] = (name, value)
                return
        raise self.refusal(f"undefined variable: {name}")

    def _variable(self, name: str) -> Value:
        for known, value in reversed(self.scope.variables):
            if known == name:
                return value
        raise self.refusal(f"undefined variable: {name}")

    def pipeline(self, dot: Value, pipeline: Pipeline) -> Value:
        """The value of the last command; the variables get it."""
        self.at(pipeline)
        self.enter()
        value: Any = _MISSING
        for command in pipeline.commands:
            value = inside(self._command(dot, command, value))
        self.leave()
        for variable in pipeline.variables:
            if pipeline.assigns:
                self.assign(variable.names[0], value)
            else:
                self.scope.variables.append((variable.names[0], value))
        result: Value = value
        return result

    def _command(self, dot: Value, command: Command, final: Any) -> Value:
        self.spend(1)
        arguments = command.arguments
        first = arguments[0]
        if type(first) is Identifier:
            self.at(first)
            return self._call(dot, self._functions[first.name], command, arguments, final)
        if type(first) is Field:
            return self._field_node(dot, first, arguments, final)
        if type(first) is Variable:
            return self._variable_node(dot, first, arguments, final)
        if type(first) is Chain:
            return self._chain_node(dot, first, arguments, final)
        if type(first) is Pipeline:
            self._no_arguments(arguments, final)
            return self.pipeline(dot, first)
        self.at(first)
        self._no_arguments(arguments, final)
        if type(first) is Nil:
            raise self.refusal("nil is not a command")
        return self._constant(dot, first)

    def _no_arguments(self, arguments: Sequence[Node], final: Any) -> None:
        if len(arguments) > 1 or final is not _MISSING:
            raise self.refusal(f"can't give argument to non-function {arguments[0]}")

    def _constant(self, dot: Value, node: Node) -> Value:
        match node:
            case Bool():
                return node.value
            case Dot():
                return dot
            case NumberNode():
                return self._ideal(node)
            case String():
                return node.text
        raise AssertionError(node)

    def _ideal(self, node: NumberNode) -> Value:
        """A number of which only the constant's form says what it is."""
        self.at(node)
        if node.complex is not None:
            return node.complex
        if node.floating is not None and _looks_floating(node.text):
            return node.floating
        if node.integer is None:
            raise self.refusal(f"{node.text} overflows int")
        return node.integer

    def _field_node(self, dot: Value, node: Field, arguments: Sequence[Node], final: Any) -> Value:
        self.at(node)
        return self._fields(dot, dot, node, node.names, arguments, final)

    def _variable_node(self, dot: Value, node: Variable, arguments: Sequence[Node], final: Any) -> Value:
        self.at(node)
        value = self._variable(node.names[0])
        if len(node.names) == 1:
            self._no_arguments(arguments or (node,), final)
            return value
        return self._fields(dot, value, node, node.names[1:], arguments, final)

    def _chain_node(self, dot: Value, node: Chain, arguments: Sequence[Node], final: Any) -> Value:
        self.at(node)
        if isinstance(node.operand, Nil):
            raise self.refusal(f"indirection through explicit nil in {node}")
        value = self._argument(dot, None, node.operand)
        return self._fields(dot, value, node, node.names, arguments, final)

    def _fields(
        self,
        dot: Value,
        value: Value,
        node: Node,
        names: Sequence[str],
        arguments: Sequence[Node],
        final: Any,
    ) -> Value:
        """Field after field; the last one may be a method with arguments."""
        for name in names[:-1]:
            value = self._field(dot, name, node, (), _MISSING, value)
        return self._field(dot, names[-1], node, arguments, final, value)

    def _field(
        self, dot: Value, name: str, node: Node, arguments: Sequence[Node], final: Any, receiver: Value
    ) -> Value:
        if receiver is None:
            return None
        of = type_of(receiver)
        target, nil = indirect(receiver)
        if nil and isinstance(target, Interface):
            raise self.refusal(f"nil pointer evaluating {of}.{name}")
        method = method_of(target, name)
        if method is not None:
            return self._call(dot, method, node, arguments, final, receiver=target)
        has_arguments = len(arguments) > 1 or final is not _MISSING
        if isinstance(target, Struct):
            for (known, _), value in zip(target.type.fields, target.values, strict=True):
                if known == name:
                    held: Value = value
                    if not name[0].isupper():
                        raise self.refusal(f"{name} is an unexported field of struct type {of}")
                    if has_arguments:
                        raise self.refusal(f"{name} has arguments but cannot be invoked as function")
                    return held
        elif isinstance(target, Table):
            if has_arguments:
                raise self.refusal(f"{name} is not a method but has arguments")
            element = target.type.element
            assert element is not None
            found: Value = target.entries[name] if name in target.entries else zero(element)
            return found
        elif isinstance(target, Pointer) and nil:
            element = target.type.element
            if element is not None and any(known == name for known, _ in element.fields):
                raise self.refusal(f"nil pointer evaluating {of}.{name}")
        raise self.refusal(f"can't evaluate field {name} in type {of}")

    def _call(
        self,
        dot: Value,
        function: Function,
        node: Node,
        arguments: Sequence[Node],
        final: Any,
        receiver: Any = _MISSING,
    ) -> Value:
        """Calls a function or method: arguments by their parameters' types, the piped value last."""
        given = arguments[1:]
        piped = final is not _MISSING
        count, wanted = len(given) + piped, len(function.parameters)
        name = function.name
        if function.variadic is not None:
            if count < wanted:
                raise self.refusal(
                    f"wrong number of args for {name}: want at least {wanted} got {len(given)}"
                )
        elif count != wanted:
            raise self.refusal(f"wrong number of args for {name}: want {wanted} got {count}")
        if function.refusal:
            raise self.refusal(function.refusal)
        if function.builtin and name in ("and", "or"):
            return self._short_circuit(dot, name == "or", given, final)
        values = [
            self._argument(dot, self._parameter(function, place), argument)
            for place, argument in enumerate(given)
        ]
        if piped:
            values.append(self._checked(final, self._parameter(function, count - 1)))
        if name == "call":
            values.insert(0, str(given[0]) if given else _shown_callee(values[0]))
        if receiver is not _MISSING:
            values.insert(0, receiver)
        try:
            result: Value = function.call(self._calling, *values)
        except UserError as error:
            self.at(node)
            raise self.refusal(f"error calling {name}: {error.message}") from error
        return result

    def _parameter(self, function: Function, place: int) -> GoType:
        if place < len(function.parameters):
            return function.parameters[place]
        assert function.variadic is not None
        return function.variadic

    def _short_circuit(self, dot: Value, wanted: bool, given: Sequence[Node], final: Any) -> Value:
        """`and`, `or`: the first argument that decides, or the last one."""
        value: Value = None
        for argument in given:
            value = self._argument(dot, REFLECTED, argument)
            if is_true(value) is wanted:
                return value
        return value if final is _MISSING else self._checked(final, REFLECTED)

    def _checked(self, value: Value, of: GoType | None) -> Value:
        """The value as a parameter of a type takes it."""
        if of is REFLECTED or of is None:
            return value
        if value is None:
            if of is ANY:
                return None
            if of.nilable:
                return zero(of)
            raise self.refusal(f"invalid value; expected {of}")
        if of is ANY:
            return inside(value)
        if type_of(value) is of:
            return value
        if isinstance(value, Interface) and value.value is not None:
            value = value.value
            if type_of(value) is of:
                return value
        if isinstance(value, Pointer) and value.type.element is of:
            if value.target is None:
                raise self.refusal(f"dereference of nil pointer of type {of}")
            target: Value = value.target
            return target
        raise self.refusal(f"wrong type for value; expected {of}; got {type_of(value)}")

    def _argument(self, dot: Value, of: GoType | None, node: Node) -> Value:
        """An argument for a parameter of a type; None asks for any value."""
        self.at(node)
        match node:
            case Dot():
                return self._checked(dot, of)
            case Nil():
                return self._nil(of)
            case Field():
                return self._checked(self._field_node(dot, node, (node,), _MISSING), of)
            case Variable():
                return self._checked(self._variable_node(dot, node, (), _MISSING), of)
            case Pipeline():
                return self._checked(self.pipeline(dot, node), of)
            case Identifier():
                value = self._call(dot, self._functions[node.name], node, (), _MISSING)
                return self._checked(value, of)
            case Chain():
                return self._checked(self._chain_node(dot, node, (), _MISSING), of)
        return self._constant_argument(dot, of, node)

    def _nil(self, of: GoType | None) -> Value:
        assert of is not None
        if of is REFLECTED or of is ANY:
            return None
        if of.nilable:
            return zero(of)
        raise self.refusal(f"cannot assign nil to {of}")

    def _constant_argument(self, dot: Value, of: GoType | None, node: Node) -> Value:
        assert of is not None
        if of is REFLECTED or of is ANY:
            return self._constant(dot, node)
        match of.kind, node:
            case GoKind.STRING, String():
                return node.text
            case GoKind.STRING, _:
                raise self.refusal(f"expected string; found {node}")
            case GoKind.INT, NumberNode(integer=int() as integer):
                return integer if of.name == "int" else GoScalar(of, integer)
            case GoKind.INT, _:
                raise self.refusal(f"expected integer; found {node}")
        raise self.refusal(f"can't handle {node} for arg of type {of}")


def _shown_callee(value: Value) -> str:
    """The name of what `call` gets from a pipeline: a string itself, of others their type."""
    return (
        value
        if isinstance(value, str)
        else f"<{type_of(value)} Value>"
        if value is not None
        else "<invalid Value>"
    )


def _looks_floating(text: str) -> bool:
    """Whether a constant is written as a float: not as a character, nor as a hexadecimal integer."""
    if text.startswith("'"):
        return False
    if text[:2] in ("0x", "0X") and len(text) > 2 and not any(mark in text for mark in "pP"):
        return False
    return any(mark in text for mark in ".eEpP")
