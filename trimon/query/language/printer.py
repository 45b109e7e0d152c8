"""A tree back to text, on one line."""

from __future__ import annotations

from trimon.gotext.floats import format_plain
from trimon.gotext.strings import go_quote
from trimon.model.labels import METRIC_NAME, is_legacy_label_name, is_legacy_metric_name
from trimon.model.matcher import MatchType
from trimon.query.language.nodes import (
    Aggregation,
    Binary,
    Call,
    Duration,
    DurationBinary,
    DurationCall,
    DurationNumber,
    DurationParen,
    DurationUnary,
    Expr,
    MatchCardinality,
    MatrixSelector,
    Modifiers,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from trimon.units import format_duration


def print_expr(expr: Expr) -> str:
    """The expression as Prometheus prints it."""
    return print_spans(expr)[0]


def print_spans(expr: Expr) -> tuple[str, dict[int, tuple[int, int]]]:
    """The printed expression, and by the id of each node where its own text begins and ends in it."""
    out: list[str] = []
    at = 0
    spans: dict[int, tuple[int, int]] = {}
    # What is still to be printed, the next one last. A number is where a node began whose parts are now all printed.
    waiting: list[tuple[Expr, int] | str] = [(expr, -1)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            out.append(item)
            at += len(item)
            continue
        node, began = item
        if began >= 0:
            spans[id(node)] = (began, at)
            continue
        waiting.append((node, at))
        waiting += ((part if isinstance(part, str) else (part, -1)) for part in reversed(_parts(node)))
    return "".join(out), spans


def _parts(expr: Expr) -> tuple[str | Expr, ...]:
    """One node: its own text, and the expressions that stand in between."""
    match expr:
        case NumberLiteral(value=value, is_duration=is_duration):
            return (seconds_text(value) if is_duration else format_plain(value),)
        case StringLiteral(value=value):
            return (go_quote(value),)
        case Paren(expr=inner):
            return "(", inner, ")"
        case Unary(op=op, expr=inner):
            return op, inner
        case Binary():
            return expr.lhs, f" {operator_text(expr)} ", expr.rhs
        case Aggregation():
            return f"{aggregation_head(expr)}(", *_listed(aggregation_args(expr)), ")"
        case Call(function=function, args=args):
            return f"{function}(", *_listed(args), ")"
        case VectorSelector():
            return (selector_text(expr) + extended_text(expr) + modifiers_text(expr.modifiers),)
        case MatrixSelector(vector=vector, range=length):
            range_text = f"[{duration_text(length)}]"
            return (
                selector_text(vector) + range_text + extended_text(vector) + modifiers_text(vector.modifiers),
            )
        case Subquery():
            return expr.expr, subquery_tail(expr)


def _listed(args: tuple[Expr, ...]) -> tuple[str | Expr, ...]:
    parts: list[str | Expr] = []
    for arg in args:
        parts += (", ", arg) if parts else (arg,)
    return tuple(parts)


def subquery_tail(expr: Subquery) -> str:
    """The brackets and modifiers behind a subquery's expression."""
    step = "" if expr.step is None else duration_text(expr.step)
    return f"[{duration_text(expr.range)}:{step}]{modifiers_text(expr.modifiers)}"


def extended_text(expr: VectorSelector) -> str:
    """` anchored`, ` smoothed`, or nothing."""
    if expr.anchored:
        return " anchored"
    return " smoothed" if expr.smoothed else ""


def selector_text(expr: VectorSelector) -> str:
    """Name and matchers of a selector; matchers in the order of their text."""
    shown = []
    for matcher in expr.matchers:
        if matcher.name == METRIC_NAME and matcher.type is MatchType.EQUAL and expr.name == matcher.value:
            continue
        name = matcher.name if is_legacy_label_name(matcher.name) else go_quote(matcher.name)
        shown.append(f"{name}{matcher.type.value}{go_quote(matcher.value)}")
    shown.sort()
    name = expr.name
    if name and not is_legacy_metric_name(name):
        return "{" + ",".join([go_quote(name), *shown]) + "}"
    return name + ("{" + ",".join(shown) + "}" if shown or not name else "")


def modifiers_text(modifiers: Modifiers) -> str:
    """` @ ...` and ` offset ...`."""
    out = ""
    if modifiers.at_ms is not None:
        out += f" @ {modifiers.at_ms / 1000:.3f}"
    elif modifiers.at is not None:
        out += f" @ {modifiers.at.value}()"
    if modifiers.offset is not None and modifiers.offset != DurationNumber(0.0):
        out += f" offset {duration_text(modifiers.offset)}"
    return out


def seconds_text(value: float) -> str:
    """Seconds as a duration with its largest units."""
    return format_duration(round(value * 1000))


def duration_text(duration: Duration) -> str:
    """A duration between brackets or behind `offset`: a number alone is a duration, too."""
    return seconds_text(duration.value) if isinstance(duration, DurationNumber) else _term_text(duration)


def _term_text(duration: Duration) -> str:
    """A part of a duration expression, in which numbers are printed as such."""
    match duration:
        case DurationNumber(value=value, is_duration=is_duration):
            return seconds_text(value) if is_duration else format_plain(value)
        case DurationParen(inner=inner):
            return f"({_term_text(inner)})"
        case DurationUnary(op=op, inner=inner):
            return ("-" if op == "-" else "") + _term_text(inner)
        case DurationCall(name=name, args=args):
            return f"{name}({', '.join(_term_text(arg) for arg in args)})"
        case DurationBinary(op=op, lhs=lhs, rhs=rhs):
            return f"{_term_text(lhs)} {op} {_term_text(rhs)}"


def labels_text(labels: tuple[str, ...]) -> str:
    """Label names between commas, quoted where needed."""
    return ", ".join(name if is_legacy_label_name(name) else go_quote(name) for name in labels)


def operator_text(expr: Binary) -> str:
    """A binary operator with `bool` and matching clauses."""
    out = expr.op + (" bool" if expr.return_bool else "")
    matching = expr.matching
    if matching is None:
        return out
    if matching.labels or matching.on:
        out += f" {'on' if matching.on else 'ignoring'} ({labels_text(matching.labels)})"
    if matching.cardinality in (MatchCardinality.MANY_TO_ONE, MatchCardinality.ONE_TO_MANY):
        if not matching.labels and not matching.on:
            out += " ignoring ()"
        side = "left" if matching.cardinality is MatchCardinality.MANY_TO_ONE else "right"
        out += f" group_{side} ({labels_text(matching.include)})"
    left, right = matching.fill_left, matching.fill_right
    if left is not None and right is not None and format_plain(left) == format_plain(right):
        return f"{out} fill ({format_plain(left)})"
    if left is not None:
        out += f" fill_left ({format_plain(left)})"
    if right is not None:
        out += f" fill_right ({format_plain(right)})"
    return out


def aggregation_head(expr: Aggregation) -> str:
    """The operator with its grouping clause, up to the parenthesis."""
    if expr.without:
        return f"{expr.op} without ({labels_text(expr.grouping)}) "
    if expr.grouping:
        return f"{expr.op} by ({labels_text(expr.grouping)}) "
    return expr.op


def aggregation_args(expr: Aggregation) -> tuple[Expr, ...]:
    """Parameter and expression."""
    return (expr.expr,) if expr.param is None else (expr.param, expr.expr)
