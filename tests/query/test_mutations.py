"""The runner of scripts notices what is wrong: reference cases with one expectation changed must fail."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.support.promql_data import PROMQL_SCRIPTS
from tests.support.seeds import new_seed
from trimon.model.labels import labels_of
from trimon.model.sample import NORMAL_NAN
from trimon.query.conformance.commands import Clear, Eval, ExpectedMessage, Load, parse_script
from trimon.query.conformance.literal import HistogramLiteral
from trimon.query.conformance.memory import MemoryStore
from trimon.query.conformance.script import SCRIPT_OPTIONS, load, run_case
from trimon.query.conformance.series import ExpectedSeries, Item

SCRIPTS = sorted(PROMQL_SCRIPTS.glob("*.test")) if PROMQL_SCRIPTS.is_dir() else []
# Of this many cases one is mutated.
ONE_OF = 2

Mutation = Callable[[Eval, random.Random], Eval | None]


def other_item(item: Item, rng: random.Random) -> Item:
    """Another sample than this one."""
    match item:
        case None:
            return 0.0
        case HistogramLiteral():
            fields = dict(item.fields)
            name = rng.choice(("count", "sum", "z_bucket", "z_bucket_w", "n_buckets"))
            if name == "n_buckets":
                return replace(item, fields=tuple({**fields, name: (17.0,), "n_offset": 40}.items()))
            old = fields.get(name, 0.0)
            assert isinstance(old, (int, float))
            new = old * 1.001 + 1 if math.isfinite(old) else 0.5
            return replace(item, fields=tuple({**fields, name: new}.items()))
        case float() if math.isnan(item):
            return 0.0
        case float() if math.isinf(item):
            return rng.choice((-item, 1e308, NORMAL_NAN))
        case _:
            return rng.choice(
                (item + max(abs(item), 1.0) * 1e-5, -item if item else 1e-300, NORMAL_NAN, math.inf)
            )


def with_series(case: Eval, index: int, series: ExpectedSeries | None) -> Eval:
    """The case with one expected series replaced, or gone."""
    expected = list(case.expected)
    expected[index : index + 1] = [] if series is None else [series]
    return replace(case, expected=expected)


def last_of_its_labels(case: Eval, rng: random.Random) -> int | None:
    """A series that counts: of several with the same labels the last one does."""
    places = {series.labels: index for index, series in enumerate(case.expected)}
    return rng.choice(list(places.values())) if places and case.fail is None else None


def a_value(case: Eval, rng: random.Random) -> Eval | None:
    """Another value somewhere."""
    index = last_of_its_labels(case, rng)
    if index is None or not case.expected[index].items:
        return None
    series = case.expected[index]
    place = rng.randrange(len(series.items))
    items = list(series.items)
    items[place] = other_item(items[place], rng)
    return with_series(case, index, replace(series, items=tuple(items)))


def a_type(case: Eval, rng: random.Random) -> Eval | None:
    """A float instead of a histogram and the other way round."""
    index = last_of_its_labels(case, rng)
    if index is None or not case.expected[index].items or case.expected[index].items[0] is None:
        return None
    items = list(case.expected[index].items)
    items[0] = 0.0 if isinstance(items[0], HistogramLiteral) else HistogramLiteral(())
    return with_series(case, index, replace(case.expected[index], items=tuple(items)))


def a_gap(case: Eval, rng: random.Random) -> Eval | None:
    """A sample less, where there is a grid."""
    index = last_of_its_labels(case, rng)
    if index is None or not case.ranged:
        return None
    items = list(case.expected[index].items)
    places = [place for place, item in enumerate(items) if item is not None]
    if not places:
        return None
    items[rng.choice(places)] = None
    return with_series(case, index, replace(case.expected[index], items=tuple(items)))


def a_label(case: Eval, rng: random.Random) -> Eval | None:
    """Another label set, one more, or one less."""
    index = last_of_its_labels(case, rng)
    if index is None:
        return None
    series = case.expected[index]
    pairs = dict(series.labels)
    if pairs and rng.random() < 0.5:
        name = rng.choice(list(pairs))
        pairs[name] = rng.choice((pairs[name] + "!", ""))
    else:
        pairs["unexpected"] = "yes"
    labels = labels_of(pairs)
    if labels in {other.labels for other in case.expected}:
        return None
    return with_series(case, index, ExpectedSeries(labels, series.items))


def a_series_less(case: Eval, rng: random.Random) -> Eval | None:
    """A series that is there is not expected."""
    index = last_of_its_labels(case, rng)
    if index is None:
        return None
    labels = case.expected[index].labels
    return replace(case, expected=[series for series in case.expected if series.labels != labels])


def a_series_more(case: Eval, rng: random.Random) -> Eval | None:
    """A series that is not there is expected."""
    if case.fail is not None or case.text is not None:
        return None
    item = rng.choice((0.0, NORMAL_NAN, None, HistogramLiteral(())))
    more = ExpectedSeries(labels_of({"unexpected": "yes"}), (item,))
    return replace(case, expected=[*case.expected, more])


def another_order(case: Eval, rng: random.Random) -> Eval | None:
    """Two places changed."""
    if not case.ordered or len(case.expected) < 2:
        return None
    expected = list(case.expected)
    one, two = rng.sample(range(len(expected)), 2)
    expected[one], expected[two] = expected[two], expected[one]
    return replace(case, expected=expected)


def an_annotation(case: Eval, rng: random.Random) -> Eval | None:
    """An annotation that is there is denied, or another text is expected; one that is not there is expected."""
    if case.fail is not None:
        return None
    wrong = rng.choice(
        (ExpectedMessage("msg", "PromQL warning: no such thing"), ExpectedMessage("regex", "no such .*thing"))
    )
    if case.warnings:
        return rng.choice(
            (replace(case, warnings=[], no_warnings=True), replace(case, warnings=[*case.warnings, wrong]))
        )
    if case.infos:
        return rng.choice((replace(case, infos=[], no_infos=True), replace(case, infos=[wrong])))
    if case.no_warnings:
        return replace(case, no_warnings=False, warnings=[ExpectedMessage()])
    if case.no_infos:
        return replace(case, no_infos=False, infos=[ExpectedMessage()])
    return None


def failure(case: Eval, rng: random.Random) -> Eval | None:
    """Success instead of failure, failure instead of success, or another text."""
    if case.fail is None:
        return replace(case, fail=ExpectedMessage())
    return replace(
        case,
        fail=rng.choice((None, ExpectedMessage("msg", "nonsense"), ExpectedMessage("regex", "^nonsense"))),
    )


def a_constant(case: Eval, rng: random.Random) -> Eval | None:
    """Another number or string."""
    if case.text is not None:
        return replace(case, text=case.text + " ")
    if case.scalar is not None:
        new = other_item(case.scalar, rng)
        assert isinstance(new, float)
        return replace(case, scalar=new)
    if case.fail is None and not case.ranged:
        return rng.choice((replace(case, text=""), replace(case, scalar=0.0)))
    return None


MUTATIONS: tuple[Mutation, ...] = (
    a_value, a_type, a_gap, a_label, a_series_less, a_series_more, another_order, an_annotation, failure,
    a_constant,
)  # fmt: skip


def cases() -> Iterator[tuple[str, MemoryStore, Eval]]:
    """Every case of the scripts with the store as it is there."""
    for path in SCRIPTS:
        store = MemoryStore()
        for command in parse_script(path.read_text()):
            match command:
                case Clear():
                    store = MemoryStore()
                case Load():
                    load(store, command)
                case Eval():
                    yield path.stem, store, command


@pytest.mark.skipif(not SCRIPTS, reason="the reference scripts are not beside the repository")
def test_every_mutation_is_noticed() -> None:
    """A reference case of which one expectation was changed fails."""
    seed = new_seed()
    rng = random.Random(seed)
    tried = dict.fromkeys((mutation.__name__ for mutation in MUTATIONS), 0)
    for script, store, case in cases():
        if not case.ordered and rng.randrange(ONE_OF):
            continue
        for mutation in [*rng.sample(MUTATIONS, 4), *([another_order] if case.ordered else [])]:
            mutant = mutation(case, rng)
            if mutant is None:
                continue
            tried[mutation.__name__] += 1
            result = run_case(store, mutant, SCRIPT_OPTIONS)
            assert result.status == "failed", f"{script} {case.name}: {mutation.__name__} passes: {mutant}"
    assert min(tried.values()) > 0, tried
