"""Expressions with other selectors."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.commandline import run_trimon
from trimon.model.matcher import Matcher, MatchType
from trimon.query import engine
from trimon.query.language.nodes import VectorSelector, nodes_of
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, QueryOptions
from trimon.query.language.printer import print_expr
from trimon.query.language.rewriting import with_selectors

OPTIONS = QueryOptions(features=ALL_LANGUAGE_FEATURES)
MATCHER = Matcher("new", MatchType.EQUAL, "x")

leaves = st.sampled_from(["up", 'foo{a="b"}', "1", 'label_replace(up, "a", "b", "c", "d")', "rate(foo[5m])"])
queries = st.recursive(
    leaves.filter(lambda text: text != "1"),
    lambda inner: st.one_of(
        inner.map("({})".format),
        inner.map("sum by (a) ({})".format),
        inner.map("topk(3, {})".format),
        inner.map("-({})".format),
        inner.map("max_over_time(({})[1h:5m] offset 5m)".format),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) / on (a) group_left () ({pair[1]})"),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(queries)
def test_every_selector_is_changed_and_nothing_else(text: str) -> None:
    """The changed tree is that of the text with each selector's matchers extended; the tree itself, which is shared, stays."""
    tree = engine.parse(text, OPTIONS)
    before = print_expr(tree)
    changed = with_selectors(tree, lambda each: replace(each, matchers=(*each.matchers, MATCHER)))
    assert print_expr(tree) == before
    selectors = [each for each in nodes_of(tree) if isinstance(each, VectorSelector)]
    now = [each for each in nodes_of(changed) if isinstance(each, VectorSelector)]
    assert [each.matchers[:-1] for each in now] == [each.matchers for each in selectors]
    back = with_selectors(changed, lambda each: replace(each, matchers=each.matchers[:-1]))
    assert print_expr(back) == before


def test_a_long_chain_is_rewritten() -> None:
    """A chain longer than a stack is deep."""
    text = " + ".join(["a"] * 9_000)
    done = run_trimon("promql", "label-matchers", "set", text, "job", "x")
    assert done.exit_code == 0
    assert done.stdout.count('a{job="x"}') == 9_000


def test_matchers_are_set_and_deleted() -> None:
    """As promtool documents it: set replaces all matchers of the label or adds one, delete takes them out."""

    def printed(*arguments: str) -> str:
        done = run_trimon("promql", "label-matchers", *arguments)
        return done.stdout.rstrip("\n") if done.exit_code == 0 else done.stderr

    assert printed("set", 'sum(rate(a{b="1"}[5m])) / c', "b", "2") == 'sum(rate(a{b="2"}[5m])) / c{b="2"}'
    assert printed("set", "-t", "=~", "up", "job", "a|b") == 'up{job=~"a|b"}'
    assert printed("set", 'up{x="1"}', "__name__", "down") == 'down{x="1"}'
    assert printed("delete", 'up{x="1",y="2",x!="3"} or foo', "x") == 'up{y="2"} or foo'
    assert printed("set", "-t", "~", "up", "a", "b") == "trimon: error: invalid label match type: ~\n"
    assert "parse error" in printed("delete", "up{", "a")
