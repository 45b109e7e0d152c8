"""Search: scores and the corners of its parameters; recorded requests are compared in `test_oracle`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.web_world import WebWorld, web_world
from tests.web.test_federation import NOW_MS, changes, write
from trimon.query.language.options import QueryOptions
from trimon.web.api.querying.similarity import jaro_winkler_score, scorer, subsequence_score
from trimon.web.context import WebOptions

OPTIONS = WebOptions(enable_remote_write=True, search_limit_max=50)
API = "/api/v1/search"


@pytest.mark.parametrize(
    ("pattern", "text", "score"),
    [
        ("", "anything", 1.0),
        ("abc", "", 0.0),
        ("ab", "ab", 1.0),
        ("ab", "abcd", (4 - 2 / 8) / 4),
        ("cd", "abcd", (4 - 2 / 4) / 4),
        ("ad", "abcd", (2 - 2 / 4) / 4),
        ("xab", "xaxab", (9 - 2 / 5) / 9),
        ("ba", "ab", 0.0),
        ("é", "ã", 0.0),
    ],
)
def test_the_score_of_a_subsequence(pattern: str, text: str, score: float) -> None:
    """Runs count by their squares, gaps are taken off, and the best place counts."""
    assert subsequence_score(pattern, text) == pytest.approx(score)


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ("", "", 1.0),
        ("", "a", 0.0),
        ("martha", "marhta", 0.9611),
        ("dwayne", "duane", 0.84),
        ("dixon", "dicksonx", 0.8133),
        ("abc", "xyz", 0),
    ],
)
def test_the_score_of_jaro_and_winkler(one: str, other: str, score: float) -> None:
    """The examples that everybody has, either way round."""
    assert jaro_winkler_score(one, other) == pytest.approx(score, abs=1e-4)
    assert jaro_winkler_score(other, one) == pytest.approx(score, abs=1e-4)


@given(
    st.text("abc_é", max_size=12),
    st.text("abc_é", max_size=12),
    st.sampled_from(["subsequence", "jarowinkler"]),
)
def test_every_score_is_one(term: str, text: str, algorithm: str) -> None:
    """A score is between 0 and 1; what begins with the term has 1, and what is found has more than 0."""
    score = scorer([term], algorithm, 0.0, case_sensitive=True)(text)
    assert 0.0 <= score <= 1.0
    assert (score == 1.0) == text.startswith(term)
    assert (score > 0) >= (term in text)


async def found(here: WebWorld, query: str) -> list[dict[str, Any]]:
    """The lines of an answer."""
    answer = await here.client.get(f"{API}/{query}")
    assert answer.status_code == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


async def test_batches_limits_and_order(tmp_path: Path) -> None:
    """A limit keeps the first in order and says that there are more; batches are lines."""
    options = QueryOptions(features=frozenset({"search-api"}))
    async with web_world(tmp_path, OPTIONS, {**changes(), "query_options": lambda: options}) as here:
        await write(
            here,
            [({"__name__": name, "k": name[::-1]}, [(NOW_MS, 1.0)]) for name in ("ab", "b_a", "cab", "d")],
        )
        lines = await found(here, "metric_names?batch_size=2&limit=3")
        names = [[each["name"] for each in line["results"]] for line in lines[:-1]]
        assert (names, lines[-1]) == ([["ab", "b_a"], ["cab"]], {"status": "success", "has_more": True})
        lines = await found(here, "metric_names?sort_by=alpha&sort_dir=dsc&limit=2")
        assert [each["name"] for each in lines[0]["results"]] == ["d", "cab"]
        lines = await found(
            here, "metric_names?search[]=ab&sort_by=score&include_score=true&fuzz_alg=jarowinkler"
        )
        assert lines[0]["results"] == [
            {"name": "ab", "score": 1},
            {"name": "cab", "score": pytest.approx(0.7)},
        ]
        lines = await found(here, "metric_names?search[]=AB&case_sensitive=false&fuzz_threshold=99")
        assert [each["name"] for each in lines[0]["results"]] == ["ab"]
        lines = await found(here, "label_values?label=k&match[]=ab&match[]=d")
        assert lines[0]["results"] == [{"value": "ba"}, {"value": "d"}]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=51", "limit 51 exceeds the configured maximum (50, see --web.search.max-limit)"),
        ("limit=0", 'invalid limit "0": must be a positive integer'),
        ("batch_size=-1", 'invalid batch_size "-1": must be a positive integer'),
        ("sort_by=score", "sort_by=score requires at least one search[] term"),
        ("search[]=a&sort_by=score&sort_dir=asc", "sort_dir is only valid when sort_by is alpha"),
        ("sort_by=alpha&sort_dir=up", 'invalid sort_dir "up": must be "asc" or "dsc"'),
        ("include_score=maybe", 'invalid include_score "maybe": must be true or false'),
    ],
)
async def test_what_makes_no_sense_is_told(query: str, words: str, tmp_path: Path) -> None:
    """A bad parameter is named with its value."""
    options = QueryOptions(features=frozenset({"search-api"}))
    async with web_world(tmp_path, OPTIONS, {"query_options": lambda: options}) as here:
        answer = await here.client.get(f"{API}/label_names?{query}")
        assert answer.status_code == 400
        assert (await answer.get_json())["error"] == words
