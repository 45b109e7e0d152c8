"""Walks through templates in the order of the page, and gives every action the escapers of its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from trimon import limits
from trimon.gotext.strings import go_quote
from trimon.templates.html.context import (
    COMMENTS,
    SCRIPT_LITERALS,
    Delimiter,
    HtmlContext,
    HtmlState,
    Slash,
    UrlPart,
)
from trimon.templates.html.errors import HtmlError
from trimon.templates.html.pipelines import PREDEFINED, with_escapers
from trimon.templates.html.tags import advance
from trimon.templates.nodes import (
    Action,
    Body,
    Branch,
    Identifier,
    Invocation,
    Leave,
    Node,
    TemplateSource,
    TextNode,
)

_SCRIPT_TAG: Final = re.compile("<(script|/script|!--)", re.IGNORECASE)
_DOCTYPE: Final = "<!DOCTYPE"
_URL_STATES: Final = frozenset(
    (
        HtmlState.URL,
        HtmlState.CSS_DOUBLE,
        HtmlState.CSS_SINGLE,
        HtmlState.CSS_DOUBLE_URL,
        HtmlState.CSS_SINGLE_URL,
        HtmlState.CSS_URL,
    )
)
_BY_STATE: Final = {
    HtmlState.META_CONTENT: (),
    HtmlState.META_CONTENT_URL: ("urlfilter",),
    HtmlState.JS: ("jsvalescaper",),
    HtmlState.JS_DOUBLE: ("jsstrescaper",),
    HtmlState.JS_SINGLE: ("jsstrescaper",),
    HtmlState.JS_TEMPLATE: ("jstmpllitescaper",),
    HtmlState.JS_REGEXP: ("jsregexpescaper",),
    HtmlState.CSS: ("cssvaluefilter",),
    HtmlState.TEXT: ("htmlescaper",),
    HtmlState.RCDATA: ("rcdataescaper",),
    HtmlState.ATTRIBUTE: (),
    HtmlState.ATTRIBUTE_NAME: ("htmlnamefilter",),
    HtmlState.SRCSET: ("srcsetescaper",),
    **dict.fromkeys(COMMENTS, ("commentescaper",)),
}
# Each piece of text is a copy of the rest.
_BYTES_PER_STEP: Final = 4096
Bodies = dict[str, tuple[Body, TemplateSource]]


class _Effort:
    """What escaping may still cost: the bodies of loops are walked twice, and of loops within them again."""

    def __init__(self) -> None:
        self.depth = 0
        self._steps_left = limits.TEMPLATE_STEPS_MAX

    def enter(self, node: Node) -> None:
        """One body deeper. Raises HtmlError."""
        self.depth += 1
        if self.depth > limits.TEMPLATE_DEPTH_MAX:
            raise HtmlError(f"template is nested more than {limits.TEMPLATE_DEPTH_MAX} deep", node)

    def spend(self, steps: int, node: Node) -> None:
        """Counts work. Raises HtmlError."""
        self._steps_left -= steps
        if self._steps_left < 0:
            raise HtmlError(f"template takes more than {limits.TEMPLATE_STEPS_MAX} steps to escape", node)


class Escaper:
    """Makes safe variants of templates; `made` has them by the names they are invoked by."""

    def __init__(self, bodies: Mapping[str, tuple[Body, TemplateSource]]) -> None:
        self._bodies = bodies
        self._outputs: dict[str, HtmlContext] = {}
        self._called: set[str] = set()
        self._loops: list[list[tuple[HtmlContext, Leave]]] = []
        self._effort = _Effort()
        self.made: Bodies = {}

    def escape(self, name: str) -> None:
        """Makes the variant of a template that begins as text. Raises HtmlError."""
        self._effort = _Effort()
        context, _ = self._template(HtmlContext(), None, name)
        error = context.error
        if error is None and context.state is not HtmlState.TEXT:
            error = HtmlError(f"ends in a non-text context: {context}")
        if error is not None:
            error.name = name
            raise error

    def _child(self) -> Escaper:
        child = Escaper(self._bodies)
        child._outputs = dict(self._outputs)
        child._loops, child._effort = self._loops, self._effort
        return child

    def _template(self, context: HtmlContext, node: Node | None, name: str) -> tuple[HtmlContext, str]:
        """The context behind a template that begins here, and the name of its variant."""
        mangled = context.mangled(name)
        self._called.add(mangled)
        known = self._outputs.get(mangled)
        if known is not None:
            return known, mangled
        found = self._bodies.get(name)
        if found is None:
            error = HtmlError(f"no such template {go_quote(name)}", node)
            return HtmlContext(HtmlState.ERROR, error=error), mangled
        return self._output(context, mangled, found), mangled

    def _output(self, context: HtmlContext, name: str, found: tuple[Body, TemplateSource]) -> HtmlContext:
        """Tries whether the template ends as it begins, then whether it ends as it did in that try."""
        after, sure = self._try(context, context, name, found)
        if not sure:
            # A template that invokes itself: what came out is the second guess.
            again, sure = self._try(after, after, name, found)
            after = again if sure else after
        if not sure and after.error is None:
            error = HtmlError(f"cannot compute output context for template {name}", found[0])
            return HtmlContext(HtmlState.ERROR, error=error)
        return after

    def _try(
        self, begin: HtmlContext, assumed: HtmlContext, name: str, found: tuple[Body, TemplateSource]
    ) -> tuple[HtmlContext, bool]:
        self._outputs[name] = assumed
        child = self._child()
        after, body = child._body(begin, found[0])
        if after.error is not None or (name in child._called and after != assumed):
            return after, False
        child.made[name] = (body, found[1])
        self._outputs |= child._outputs
        self._called |= child._called
        self.made |= child.made
        return after, True

    def _body(self, context: HtmlContext, body: Body) -> tuple[HtmlContext, Body]:
        nodes: list[Node] = []
        self._effort.enter(body)
        for at, node in enumerate(body.nodes):
            self._effort.spend(1, node)
            context, made = self._node(context, node)
            nodes.append(made)
            if context.state is HtmlState.DEAD:
                nodes += body.nodes[at + 1 :]
                break
        self._effort.depth -= 1
        return context, Body(body.position, body.source, nodes)

    def _node(self, context: HtmlContext, node: Node) -> tuple[HtmlContext, Node]:
        match node:
            case Action():
                return self._action(context, node)
            case TextNode():
                return self._text(context, node)
            case Branch():
                return self._branch(context, node)
            case Invocation():
                after, name = self._template(context, node, node.name)
                return after, Invocation(node.position, node.source, name, node.pipeline)
            case Leave():
                self._loops[-1].append((context, node))
                return HtmlContext(HtmlState.DEAD), node
        raise AssertionError(node)

    def _action(self, context: HtmlContext, node: Action) -> tuple[HtmlContext, Node]:
        if node.pipeline.variables:
            return context, node
        context = context.nudged()
        commands = node.pipeline.commands
        for place, command in enumerate(commands):
            first = command.arguments[0]
            if not isinstance(first, Identifier) or first.name not in PREDEFINED:
                continue
            unquoted = (
                context.state is HtmlState.ATTRIBUTE and context.delimiter is Delimiter.SPACE_OR_TAG_END
            )
            if place < len(commands) - 1 or (unquoted and first.name == "html"):
                message = f"predefined escaper {go_quote(first.name)} disallowed in template"
                return HtmlContext(HtmlState.ERROR, error=HtmlError(message, node)), node
        if context.state is HtmlState.ERROR:
            return context, node
        if context.state in _URL_STATES and context.url_part is UrlPart.UNKNOWN:
            message = f"{node} appears in an ambiguous context within a URL"
            return HtmlContext(HtmlState.ERROR, error=HtmlError(message, node)), node
        names = _url_escapers(context) if context.state in _URL_STATES else _BY_STATE[context.state]
        if context.delimiter is Delimiter.SPACE_OR_TAG_END:
            names = (*names, "nospaceescaper")
        elif context.delimiter is not Delimiter.NONE:
            names = (*names, "attrescaper")
        if context.state is HtmlState.JS:
            context = replace(context, slash=Slash.DIVISION)
        return context, Action(node.position, node.source, with_escapers(node.pipeline, names))

    def _branch(self, context: HtmlContext, node: Branch) -> tuple[HtmlContext, Node]:
        loop = node.word == "range"
        if loop:
            self._loops.append([])
        inner, body = self._body(context, node.body)
        if loop:
            if inner.error is None:
                inner = _joined_leaves(inner, self._loops[-1])
            self._loops.pop()
            if inner.error is None:
                inner = self._again(inner, node)
            if inner.error is not None:
                return inner, node
        otherwise, after = node.otherwise, context
        if node.otherwise is not None:
            after, otherwise = self._body(context, node.otherwise)
        made = Branch(node.position, node.source, node.word, node.pipeline, body, otherwise)
        return _joined(inner, after, node, node.word), made

    def _again(self, context: HtmlContext, node: Branch) -> HtmlContext:
        """A second round of a loop must end where the first one did."""
        self._loops.append([])
        again, _ = self._child()._body(context, node.body)
        joined = _joined(context, again, node, "range")
        leaves = self._loops.pop()
        if joined.error is not None:
            joined.error.amend("on range loop re-entry", node)
            return joined
        return _joined_leaves(joined, leaves)

    def _text(self, context: HtmlContext, node: TextNode) -> tuple[HtmlContext, Node]:
        """Text is kept, but for comments, stray `<`, and tags within literals of scripts."""
        text, written, at = node.text, 0, 0
        out: list[str] = []
        while at < len(text):
            self._effort.spend(1 + (len(text) - at) // _BYTES_PER_STEP, node)
            after, read = advance(context, text[at:])
            end = at + read
            if context.state in (HtmlState.TEXT, HtmlState.RCDATA):
                written = _stray(text, at, _text_end(text, at, end, context, after), written, out)
            elif context.state in COMMENTS and context.delimiter is Delimiter.NONE:
                out.append(_instead_of_comment(context.state, text[written:end]))
                written = end
            begins = after.state in COMMENTS and after.delimiter is Delimiter.NONE
            if context.state is not after.state and begins:
                out.append(text[written : end - _COMMENT_STARTS.get(after.state, 2)])
                written = end
            if context.state in SCRIPT_LITERALS and _SCRIPT_TAG.search(text, at, end):
                out += (text[written:at], _SCRIPT_TAG.sub(r"\\x3C\1", text[at:end]))
                written = end
            if read == 0 and after == context:
                raise AssertionError(f"no way on from {context}")
            context, at = after, end
        if not written or context.state is HtmlState.ERROR:
            return context, node
        if context.state not in COMMENTS or context.delimiter is not Delimiter.NONE:
            out.append(text[written:])
        return context, TextNode(node.position, node.source, "".join(out))


_COMMENT_STARTS: Final = {
    HtmlState.HTML_COMMENT: 4,
    HtmlState.JS_HTML_OPEN_COMMENT: 4,
    HtmlState.JS_HTML_CLOSE_COMMENT: 3,
}


def _text_end(text: str, at: int, end: int, context: HtmlContext, after: HtmlContext) -> int:
    """Where plain text ends: before the tag or comment that was read last."""
    if after.state is context.state:
        return end
    tag = text.rfind("<", at, end)
    return tag if tag >= 0 else end


def _stray(text: str, at: int, end: int, written: int, out: list[str]) -> int:
    """Escapes each `<` that begins no tag; what is written until then is told."""
    while (at := text.find("<", at, end)) >= 0:
        if text[at : at + len(_DOCTYPE)].upper() != _DOCTYPE:
            out += (text[written:at], "&lt;")
            written = at + 1
        at += 1
    return written


def _instead_of_comment(state: HtmlState, comment: str) -> str:
    if state is HtmlState.JS_BLOCK_COMMENT:
        # A comment with a line's end counts as one.
        return "\n" if any(end in comment for end in "\n\r\u2028\u2029") else " "
    return " " if state is HtmlState.CSS_BLOCK_COMMENT else ""


def _url_escapers(context: HtmlContext) -> tuple[str, ...]:
    if context.url_part is UrlPart.QUERY_OR_FRAGMENT:
        return ("urlescaper",)
    quoted = context.state in (HtmlState.CSS_DOUBLE, HtmlState.CSS_SINGLE)
    escaper = "cssescaper" if quoted else "urlnormalizer"
    return ("urlfilter", escaper) if context.url_part is UrlPart.NONE else (escaper,)


def _joined_leaves(context: HtmlContext, leaves: list[tuple[HtmlContext, Leave]]) -> HtmlContext:
    """The context of a loop and those of its `break` and `continue`."""
    for word in ("break", "continue"):
        for left, node in leaves:
            if node.word == word:
                context = _joined(context, left, node, "range")
                if context.error is not None:
                    context.error.amend(f"at range loop {word}", node)
                    return context
    return context


def _joined(left: HtmlContext, right: HtmlContext, node: Node, word: str) -> HtmlContext:
    """The context behind two branches."""
    if left.state is HtmlState.ERROR or right.state is HtmlState.DEAD:
        return left
    if right.state is HtmlState.ERROR or left.state is HtmlState.DEAD:
        return right
    if left == right:
        return left
    if replace(left, url_part=right.url_part) == right:
        return replace(left, url_part=UrlPart.UNKNOWN)
    if replace(left, slash=right.slash) == right:
        return replace(left, slash=Slash.UNKNOWN)
    nudged = left.nudged(), right.nudged()
    if nudged != (left, right):
        joined = _joined(*nudged, node, word)
        if joined.state is not HtmlState.ERROR:
            return joined
    message = f"{{{{{word}}}}} branches end in different contexts: {left}, {right}"
    return HtmlContext(HtmlState.ERROR, error=HtmlError(message, node))
