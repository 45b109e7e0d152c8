"""Aggregations and vector matching as loops over dictionaries of label sets, one step at a time."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import numpy as np

from tests.support import naive_promql as naive

Labels = tuple[tuple[str, str], ...]
Instant = dict[Labels, float]


def divide(a: float, b: float) -> float:
    """Division as hardware does it."""
    with np.errstate(all="ignore"):
        return float(np.divide(a, b))


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">=": operator.ge,
}


class Ambiguous(Exception):
    """The expression is an error at this step."""


def without(labels: Labels, names: set[str]) -> Labels:
    """All labels but some."""
    return tuple(pair for pair in labels if pair[0] not in names)


def only(labels: Labels, names: set[str]) -> Labels:
    """Some labels."""
    return tuple(pair for pair in labels if pair[0] in names)


def aggregate(op: str, vector: Instant, names: set[str], *, drop: bool, param: float = 0.0) -> Instant:
    """One aggregation at one step."""
    groups: dict[Labels, list[tuple[Labels, float]]] = {}
    for labels, value in vector.items():
        key = without(labels, {*names, "__name__"}) if drop else only(labels, names)
        groups.setdefault(key, []).append((labels, value))
    out: Instant = {}
    for key, members in groups.items():
        numbers = [value for _, value in members]
        match op:
            case "sum":
                out[key] = naive.exact_sum(numbers)
            case "avg":
                out[key] = naive.exact_sum(numbers) / len(numbers)
            case "min" | "max":
                out[key] = naive.best([(0, v) for v in numbers], min if op == "min" else max)
            case "count":
                out[key] = float(len(numbers))
            case "stdvar":
                out[key] = naive.variance(numbers)
            case "quantile":
                out[key] = naive.quantile(param, numbers)
            case "topk" | "bottomk":
                sign = -1.0 if op == "topk" else 1.0
                ranked = sorted(
                    members, key=lambda m: (math.isnan(m[1]), 0.0 if math.isnan(m[1]) else sign * m[1])
                )
                out.update(ranked[: max(0, int(param))])
            case _:
                raise AssertionError(op)
    return out


def signature(labels: Labels, names: set[str], *, on: bool) -> Labels:
    """The labels by which two series match."""
    return only(labels, names) if on else without(labels, {*names, "__name__"})


def binary(op: str, left: Instant, right: Instant, names: set[str], *, on: bool, group: str = "") -> Instant:
    """One arithmetic or comparison operator at one step; raises Ambiguous."""
    if not left or not right:
        return {}
    many, one = (right, left) if group == "right" else (left, right)
    partners: dict[Labels, tuple[Labels, float]] = {}
    for labels, value in one.items():
        key = signature(labels, names, on=on)
        if key in partners:
            raise Ambiguous
        partners[key] = (labels, value)
    out: Instant = {}
    seen: set[Labels] = set()
    for labels, value in many.items():
        key = signature(labels, names, on=on)
        if key not in partners:
            continue
        other = partners[key][1]
        a, b = (other, value) if group == "right" else (value, other)
        result = labels
        if op in ARITHMETIC:
            result = without(result, {"__name__"})
        if not group:
            result = only(result, names) if on else without(result, names)
            if key in seen:
                raise Ambiguous
            seen.add(key)
        elif result in seen:
            raise Ambiguous
        else:
            seen.add(result)
        if op in ARITHMETIC:
            if result in out:
                raise Ambiguous
            out[result] = ARITHMETIC[op](a, b)
        elif COMPARE[op](a, b):
            if result in out:
                raise Ambiguous
            out[result] = a
    return out


def set_operator(op: str, left: Instant, right: Instant, names: set[str], *, on: bool) -> Instant:
    """and, or, unless at one step; raises Ambiguous when a label set comes out twice."""
    mine = {signature(labels, names, on=on) for labels in left}
    theirs = {signature(labels, names, on=on) for labels in right}
    if op == "or":
        out = dict(left)
        for labels, value in right.items():
            if signature(labels, names, on=on) not in mine:
                if labels in out:
                    raise Ambiguous
                out[labels] = value
        return out
    wanted = op == "and"
    return {
        labels: value
        for labels, value in left.items()
        if (signature(labels, names, on=on) in theirs) == wanted
    }
