"""How alike a name and what somebody typed are: scores between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Score = Callable[[str], float]

# Of texts that do not begin with what is sought.
_ELSEWHERE: Final = 0.999
_LEAST_PART: Final = 0.1
_PREFIX_MAX: Final = 4
_PREFIX_WEIGHT: Final = 0.1


def subsequence_score(pattern: str, text: str) -> float:
    """How well the characters of a pattern stand in a text in their order; 0.0 where they do not.

    Runs of neighbours count by the square of their lengths; what lies before the first one and between them is taken off, and
    half of what follows. Of all places where the pattern may begin the best counts; each run is as early as it can be.
    """
    if not pattern or pattern == text:
        return 1.0
    best, length = 0.0, len(text)
    start = text.find(pattern[0])
    while start >= 0 and length - start >= len(pattern):
        found = _greedy(pattern, text, start)
        if found is None:
            break  # what is not found from here is not found from a later place
        squares, gaps, end = found
        raw = squares - gaps / length - (length - end) / (2 * length)
        best = max(best, raw / len(pattern) ** 2)
        start = text.find(pattern[0], start + 1)
    return best


def _greedy(pattern: str, text: str, start: int) -> tuple[int, int, int] | None:
    """Squares of the lengths of runs, characters before and between them, and where the last one ends."""
    squares, gaps, run, at = 0, start, 1, start + 1
    for character in pattern[1:]:
        found = text.find(character, at)
        if found < 0:
            return None
        if found == at:
            run += 1
        else:
            squares, gaps, run = squares + run * run, gaps + found - at, 1
        at = found + 1
    return squares + run * run, gaps, at


def jaro_winkler_score(one: str, other: str) -> float:
    """The similarity of Jaro and Winkler."""
    if one == other:
        return 1.0
    short, long = sorted((one, other), key=len)
    if not short:
        return 0.0
    reach = max(len(long) // 2 - 1, 0)
    taken = [False] * len(long)
    matched = []
    for place, character in enumerate(short):
        found = long.find(character, max(place - reach, 0), place + reach + 1)
        while found >= 0 and taken[found]:
            found = long.find(character, found + 1, place + reach + 1)
        if found >= 0:
            taken[found] = True
            matched.append(character)
    if not matched:
        return 0.0
    in_long = (character for character, used in zip(long, taken, strict=True) if used)
    swapped = sum(a != b for a, b in zip(matched, in_long, strict=True)) / 2
    count = len(matched)
    jaro = (count / len(short) + count / len(long) + (count - swapped) / count) / 3
    prefix = 0
    while prefix < min(_PREFIX_MAX, len(short)) and short[prefix] == long[prefix]:
        prefix += 1
    return jaro + prefix * _PREFIX_WEIGHT * (1 - jaro)


def _by_subsequence(term: str, least: float) -> Score:
    def score(text: str) -> float:
        if text.startswith(term):
            return 1.0
        found = _ELSEWHERE * subsequence_score(term, text)
        return found if found >= least else 0.0

    return score


def _by_parts(term: str, least: float) -> Score:
    """Parts of a text count, and with a least similarity whole texts that are alike."""

    def score(text: str) -> float:
        place = text.find(term)
        if place == 0:
            return 1.0
        if place > 0:
            return _LEAST_PART + (1 - _LEAST_PART) * (1 - place / len(text))
        alike = jaro_winkler_score(term, text) if least else 0.0
        return alike if alike >= least else 0.0

    return score


ALGORITHMS: Final[dict[str, Callable[[str, float], Score]]] = {
    "subsequence": _by_subsequence,
    "jarowinkler": _by_parts,
}


def scorer(terms: list[str], algorithm: str, least: float, *, case_sensitive: bool) -> Score:
    """The best score of a text over the terms; 1.0 where there are none."""
    if not terms:
        return lambda _: 1.0
    make = ALGORITHMS[algorithm]
    if case_sensitive:
        scores = [make(term, least) for term in terms]
        return lambda text: max(score(text) for score in scores)
    folded = [make(term.lower(), least) for term in terms]

    def score(text: str) -> float:
        text = text.lower()
        return max(score(text) for score in folded)

    return score
