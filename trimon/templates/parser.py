"""From the text of a template to its nodes, and to the nodes of the templates that it defines."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.strings import go_quote, unquote
from trimon.templates.constants import number
from trimon.templates.errors import TemplateError, located
from trimon.templates.lexer import Token, TokenKind
from trimon.templates.nodes import (
    Action,
    Body,
    Bool,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Identifier,
    Invocation,
    Leave,
    Nil,
    Node,
    NumberNode,
    Pipeline,
    String,
    TemplateSource,
    TextNode,
    Variable,
    is_empty,
)
from trimon.templates.tokens import Tokens

_OPERANDS: Final = frozenset(
    (
        *(
            TokenKind.BOOL,
            TokenKind.CHARACTER_CONSTANT,
            TokenKind.COMPLEX,
            TokenKind.DOT,
            TokenKind.FIELD,
            TokenKind.IDENTIFIER,
            TokenKind.NUMBER,
        ),
        *(TokenKind.NIL, TokenKind.RAW_STRING, TokenKind.STRING, TokenKind.VARIABLE, TokenKind.LEFT_PAREN),
    )
)
_CONSTANTS: Final = (Bool, Dot, Nil, NumberNode, String)


def parse(source: TemplateSource, functions: Collection[str]) -> dict[str, Body]:
    """The templates of a text by name, its own under the name of the source. Raises TemplateError."""
    if len(source.text) > limits.TEMPLATE_TEXT_BYTES_MAX:
        bytes_max = limits.TEMPLATE_TEXT_BYTES_MAX
        message = f"template: {source.name}:1: template is longer than {bytes_max} bytes"
        raise located(message, source.name, 1)
    found: dict[str, Body] = {}
    _Parser(Tokens(source.text), source, functions, found, source.name).parse_all()
    return found


class _End(Node):
    """`{{end}}`; never part of a tree."""

    __slots__ = ()

    def __str__(self) -> str:
        return "{{end}}"


class _Else(Node):
    """`{{else}}`; never part of a tree."""

    __slots__ = ()

    def __str__(self) -> str:
        return "{{else}}"


class _Parser:
    """Parses one template; those that it defines have parsers of their own over the same tokens."""

    def __init__(
        self,
        tokens: Tokens,
        source: TemplateSource,
        functions: Collection[str],
        found: dict[str, Body],
        name: str,
    ) -> None:
        self._tokens = tokens
        self._source = source
        self._functions = functions
        self._found = found
        self._name = name
        self._variables = ["$"]
        self._ranges = 0
        self._action_line = 0

    def _error(self, message: str) -> TemplateError:
        line = self._tokens.line
        return located(f"template: {self._source.name}:{line}: {message}", self._source.name, line)

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        if token.kind is not TokenKind.ERROR:
            return self._error(f"unexpected {token} in {context}")
        extra = ""
        if self._action_line not in (0, token.line):
            lead = "" if token.text.endswith(" action") else " in action"
            extra = f"{lead} started at {self._source.name}:{self._action_line}"
        return self._error(f"{token}{extra}")

    def _expect(self, context: str, *kinds: TokenKind) -> Token:
        token = self._tokens.next_shown()
        if token.kind not in kinds:
            raise self._unexpected(token, context)
        return token

    def _deeper(self) -> None:
        self._tokens.depth += 1
        if self._tokens.depth > limits.TEMPLATE_DEPTH_MAX:
            raise self._error(f"template is nested more than {limits.TEMPLATE_DEPTH_MAX} deep")

    def parse_all(self) -> None:
        """The whole text."""
        tokens = self._tokens
        body = Body(tokens.peek().position, self._source)
        while tokens.peek().kind is not TokenKind.EOF:
            if tokens.peek().kind is TokenKind.LEFT:
                delimiter = tokens.next()
                word = tokens.next_shown()
                if word.kind is TokenKind.DEFINE:
                    self._inner("definition").parse_definition()
                    continue
                tokens.back(word)
                tokens.back(delimiter)
            node = self._text_or_action()
            if isinstance(node, _End | _Else):
                raise self._error(f"unexpected {node}")
            body.nodes.append(node)
        self._add(body)

    def _inner(self, name: str) -> _Parser:
        return _Parser(self._tokens, self._source, self._functions, self._found, name)

    def parse_definition(self) -> None:
        """What follows the word `define`."""
        context = "define clause"
        self._name = self._unquoted(self._expect(context, TokenKind.STRING, TokenKind.RAW_STRING))
        self._expect(context, TokenKind.RIGHT)
        self.parse_body(context)

    def parse_body(self, context: str) -> None:
        """The body of a template that is defined here."""
        body, end = self._items()
        if not isinstance(end, _End):
            raise self._error(f"unexpected {end} in {context}")
        self._add(body)

    def _add(self, body: Body) -> None:
        """Keeps a template; one of nothing but blanks replaces none."""
        known = self._found.get(self._name)
        if known is None or is_empty(known):
            self._found[self._name] = body
        elif not is_empty(body):
            raise self._error(f"template: multiple definition of template {go_quote(self._name)}")

    def _unquoted(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except UserError:
            raise self._error("invalid syntax") from None

    def _items(self) -> tuple[Body, Node]:
        """Nodes up to an end or else, and that."""
        self._deeper()
        body = Body(self._tokens.peek_shown().position, self._source)
        while self._tokens.peek_shown().kind is not TokenKind.EOF:
            node = self._text_or_action()
            if isinstance(node, _End | _Else):
                self._tokens.depth -= 1
                return body, node
            body.nodes.append(node)
        raise self._error("unexpected EOF")

    def _text_or_action(self) -> Node:
        token = self._tokens.next_shown()
        if token.kind is TokenKind.TEXT:
            return TextNode(token.position, self._source, token.text)
        if token.kind is not TokenKind.LEFT:
            raise self._unexpected(token, "input")
        self._action_line = token.line
        node = self._action()
        self._action_line = 0
        return node

    def _action(self) -> Node:
        token = self._tokens.next_shown()
        control = _CONTROLS.get(token.kind)
        if control is not None:
            return control(self, token)
        self._tokens.back(token)
        return Action(token.position, self._source, self._pipeline("command", TokenKind.RIGHT))

    def _leave(self, token: Token) -> Node:
        following = self._tokens.next_shown()
        shown = f"{{{{{token.text}}}}}"
        if following.kind is not TokenKind.RIGHT:
            raise self._unexpected(following, shown)
        if not self._ranges:
            raise self._error(f"{shown} outside {{{{range}}}}")
        return Leave(token.position, self._source, token.text)

    def _branch(self, token: Token) -> Node:
        """`if`, `with` or `range`."""
        word, known = token.text, len(self._variables)
        pipeline = self._pipeline(word, TokenKind.RIGHT)
        self._ranges += word == "range"
        body, end = self._items()
        self._ranges -= word == "range"
        otherwise = self._otherwise(word, end) if isinstance(end, _Else) else None
        del self._variables[known:]
        return Branch(pipeline.position, self._source, word, pipeline, body, otherwise)

    def _otherwise(self, word: str, end: Node) -> Body:
        """What follows `else`; `else if` and `else with` are a branch within, which has the `end` of all."""
        following = self._tokens.peek()
        if word != "range" and following.text == word and following.kind in (TokenKind.IF, TokenKind.WITH):
            self._deeper()
            body = Body(end.position, self._source, [self._branch(self._tokens.next())])
            self._tokens.depth -= 1
            return body
        body, end = self._items()
        if not isinstance(end, _End):
            raise self._error(f"expected end; found {end}")
        return body

    def _end(self, _token: Token) -> Node:
        return _End(self._expect("end", TokenKind.RIGHT).position, self._source)

    def _else(self, _token: Token) -> Node:
        following = self._tokens.peek_shown()
        if following.kind in (TokenKind.IF, TokenKind.WITH):
            return _Else(following.position, self._source)
        return _Else(self._expect("else", TokenKind.RIGHT).position, self._source)

    def _block(self, _token: Token) -> Node:
        context = "block clause"
        token, name = self._template_name(context)
        pipeline = self._pipeline(context, TokenKind.RIGHT)
        self._inner(name).parse_body(context)
        return Invocation(token.position, self._source, name, pipeline)

    def _template(self, _token: Token) -> Node:
        context = "template clause"
        token, name = self._template_name(context)
        following = self._tokens.next_shown()
        pipeline = None
        if following.kind is not TokenKind.RIGHT:
            self._tokens.back(following)
            pipeline = self._pipeline(context, TokenKind.RIGHT)
        return Invocation(token.position, self._source, name, pipeline)

    def _template_name(self, context: str) -> tuple[Token, str]:
        token = self._expect(context, TokenKind.STRING, TokenKind.RAW_STRING)
        return token, self._unquoted(token)

    def _pipeline(self, context: str, end: TokenKind) -> Pipeline:
        """Commands, maybe with variables before them, up to the token that ends them."""
        pipeline = Pipeline(self._tokens.peek_shown().position, self._source)
        while self._declares(pipeline, context):
            pass
        while (token := self._tokens.next_shown()).kind is not end:
            if token.kind not in _OPERANDS:
                raise self._unexpected(token, context)
            self._tokens.back(token)
            pipeline.commands.append(self._command())
        if not pipeline.commands:
            raise self._error(f"missing value for {context}")
        for stage, command in enumerate(pipeline.commands[1:], 2):
            if isinstance(command.arguments[0], _CONSTANTS):
                raise self._error(f"non executable command in pipeline stage {stage}")
        return pipeline

    def _declares(self, pipeline: Pipeline, context: str) -> bool:
        """Takes a variable that is set here; whether another one may follow."""
        tokens = self._tokens
        variable = tokens.peek_shown()
        if variable.kind is not TokenKind.VARIABLE:
            return False
        tokens.next_shown()
        adjacent = tokens.peek()
        following = tokens.next_shown()
        if following.kind in (TokenKind.ASSIGN, TokenKind.DECLARE):
            pipeline.assigns = following.kind is TokenKind.ASSIGN
            self._declare(pipeline, variable)
            return False
        if following.kind is TokenKind.CHARACTER and following.text == ",":
            self._declare(pipeline, variable)
            if context == "range" and len(pipeline.variables) < 2:
                if tokens.peek_shown().kind in (TokenKind.VARIABLE, TokenKind.RIGHT, TokenKind.RIGHT_PAREN):
                    return True
                raise self._error("range can only initialize variables")
            raise self._error(f"too many declarations in {context}")
        tokens.back(following)
        if adjacent.kind is TokenKind.SPACE:
            tokens.back(adjacent)
        tokens.back(variable)
        return False

    def _declare(self, pipeline: Pipeline, token: Token) -> None:
        pipeline.variables.append(Variable(token.position, self._source, tuple(token.text.split("."))))
        self._variables.append(token.text)

    def _command(self) -> Command:
        """Operands with blanks between; takes the `|` after them, but not the end of the action."""
        command = Command(self._tokens.peek_shown().position, self._source)
        while True:
            self._tokens.peek_shown()
            operand = self._operand()
            if operand is not None:
                command.arguments.append(operand)
            token = self._tokens.next()
            if token.kind is TokenKind.SPACE:
                continue
            if token.kind in (TokenKind.RIGHT, TokenKind.RIGHT_PAREN):
                self._tokens.back(token)
            elif token.kind is not TokenKind.PIPE:
                raise self._unexpected(token, "operand")
            break
        if not command.arguments:
            raise self._error("empty command")
        return command

    def _operand(self) -> Node | None:
        """A term and the fields behind it."""
        node = self._term()
        first = self._tokens.peek()
        if node is None or first.kind is not TokenKind.FIELD:
            return node
        names = []
        while self._tokens.peek().kind is TokenKind.FIELD:
            names.append(self._tokens.next().text[1:])
        if isinstance(node, Field):
            return Field(first.position, self._source, (*node.names, *names))
        if isinstance(node, Variable):
            return Variable(first.position, self._source, (*node.names, *names))
        if isinstance(node, _CONSTANTS):
            raise self._error(f"unexpected . after term {go_quote(str(node))}")
        return Chain(first.position, self._source, node, tuple(names))

    def _term(self) -> Node | None:
        token = self._tokens.next_shown()
        where, source = token.position, self._source
        match token.kind:
            case TokenKind.IDENTIFIER:
                if token.text not in self._functions:
                    raise self._error(f"function {go_quote(token.text)} not defined")
                return Identifier(where, source, token.text)
            case TokenKind.DOT:
                return Dot(where, source)
            case TokenKind.NIL:
                return Nil(where, source)
            case TokenKind.VARIABLE:
                if token.text not in self._variables:
                    raise self._error(f"undefined variable {go_quote(token.text)}")
                return Variable(where, source, (token.text,))
            case TokenKind.FIELD:
                return Field(where, source, (token.text[1:],))
            case TokenKind.BOOL:
                return Bool(where, source, token.text == "true")
            case TokenKind.CHARACTER_CONSTANT | TokenKind.COMPLEX | TokenKind.NUMBER:
                try:
                    return number(token, source)
                except UserError as error:
                    raise self._error(error.message) from None
            case TokenKind.LEFT_PAREN:
                self._deeper()
                pipeline = self._pipeline("parenthesized pipeline", TokenKind.RIGHT_PAREN)
                self._tokens.depth -= 1
                return pipeline
            case TokenKind.STRING | TokenKind.RAW_STRING:
                return String(where, source, token.text, self._unquoted(token))
        self._tokens.back(token)
        return None


_CONTROLS: Final[dict[TokenKind, Callable[[_Parser, Token], Node]]] = {
    TokenKind.BLOCK: _Parser._block,
    TokenKind.BREAK: _Parser._leave,
    TokenKind.CONTINUE: _Parser._leave,
    TokenKind.ELSE: _Parser._else,
    TokenKind.END: _Parser._end,
    TokenKind.IF: _Parser._branch,
    TokenKind.RANGE: _Parser._branch,
    TokenKind.TEMPLATE: _Parser._template,
    TokenKind.WITH: _Parser._branch,
}
