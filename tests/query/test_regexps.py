"""Regular expressions: what is refused and in which words, what RE2 is given, what is kept in memory."""

from __future__ import annotations

import pytest

from trimon.errors import UserError
from trimon.gotext.regexp import GoPattern
from trimon.model.matcher import Matcher, MatchType, _Programs, anchored, compile_regexp

# What Go 1.26 says of these; 200,000 random patterns were compared with it.
BAD = [
    ("(", "missing closing ): `(`"),
    ("a)", "unexpected ): `a)`"),
    ("a)(b", "unexpected ): `a)(b`"),
    ("[a", "missing closing ]: `[a`"),
    ("x[]", "missing closing ]: `[]`"),
    ("*", "missing argument to repetition operator: `*`"),
    ("(+?)", "missing argument to repetition operator: `+?`"),
    ("a|{2}", "missing argument to repetition operator: `{2}`"),
    ("a**", "invalid nested repetition operator: `**`"),
    ("a{2}{3}?", "invalid nested repetition operator: `{2}{3}?`"),
    ("a\\", "trailing backslash at end of expression: ``"),
    ("\\y", "invalid escape sequence: `\\y`"),
    ("\\C", "invalid escape sequence: `\\C`"),
    ("\\1a", "invalid escape sequence: `\\1`"),
    ("\\é", "invalid escape sequence: `\\é`"),
    ("\\x", "invalid escape sequence: `\\x`"),
    ("\\x{110000}", "invalid escape sequence: `\\x{110000`"),
    ("[a-\\d]", "invalid escape sequence: `\\d`"),
    ("[z-a]", "invalid character class range: `z-a`"),
    ("[\\x62-a]", "invalid character class range: `\\x62-a`"),
    ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
    ("\\p{Nope}", "invalid character class range: `\\p{Nope}`"),
    ("\\pX", "invalid character class range: `\\pX`"),
    ("\\p", "invalid character class range: `\\p`"),
    ("a{1001}", "invalid repeat count: `{1001}`"),
    ("a{3,2}", "invalid repeat count: `{3,2}`"),
    ("(a{500}){3}", "invalid repeat count: `{3}`"),
    ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
    ("(?i-)", "invalid or unsupported Perl syntax: `(?i-)`"),
    ("(?", "invalid or unsupported Perl syntax: `(?`"),
    ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
    ("(?P<n", "invalid named capture: `(?P<n`"),
    ("(?<a b>c)", "invalid named capture: `(?<a b>`"),
    ("a\udcffb", "invalid UTF-8: `\udcffb`"),
    ("(" * 1000 + ")" * 1000, f"expression nests too deeply: `{'(' * 1000 + ')' * 1000}`"),
    ("(xx?){1000}" * 1300, f"expression too large: `{'(xx?){1000}' * 1300}`"),
]


@pytest.mark.parametrize(("pattern", "message"), BAD, ids=range(len(BAD)))
def test_refused_as_by_go(pattern: str, message: str) -> None:
    """A bad pattern is refused in Go's words, with the part that Go names."""
    with pytest.raises(UserError) as caught:
        Matcher("a", MatchType.REGEXP, pattern)
    assert caught.value.message == f"error parsing regexp: {message}"


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("(?<n>a)(?P<n>b)", "ab"),
        ("a{,5}", "a{,5}"),
        ("a{01}", "a{01}"),
        ("^*a$*", "a"),
        ("\\Q.a*\\E+", ".a**"),
        ("\\Q.", "."),
        ("[]a-]+", "a]-"),
        ("\\_\\012\\x{e9}", "_\né"),
        ("(?i-s:K).", "\u212a\n"),
        ("(" * 999 + "a" + ")" * 999, "a"),
        ("(?:" * 1000 + "a" + ")" * 1000, "a"),
        ("\\p{greek}\\p{Lowercase_Letter}[\\P{ digit }x]", "αbx"),
        ("\\p{^letter}", "1"),
    ],
    ids=range(13),
)
def test_taken_as_by_go(pattern: str, value: str) -> None:
    """What Go takes is taken, and means the same."""
    assert Matcher("a", MatchType.REGEXP, pattern).matches(value)
    assert not Matcher("a", MatchType.NOT_REGEXP, pattern).matches(value)


def test_anchors_are_seen_in_relabeling() -> None:
    """A pattern of relabeling is compiled between its anchors: they may make it valid, and messages show them."""
    assert compile_regexp(anchored("a)(b")).fullmatch("ab")
    with pytest.raises(UserError) as caught:
        compile_regexp(anchored("[a"))
    assert caught.value.message == "error parsing regexp: missing closing ]: `[a)$`"


def test_large_programs_are_not_kept_by_matchers() -> None:
    """A matcher with a large program looks it up each time it is asked, so remembered queries hold none; answers stay."""
    matcher = Matcher("a", MatchType.NOT_REGEXP, "\\pL{100}x")
    assert matcher._kept is None
    assert matcher.select(["a" * 100 + "x", "b", "c" * 101]) == [1, 2]
    assert Matcher("a", MatchType.REGEXP, ".*foo.*")._kept is not None


def test_remembered_programs_are_bounded() -> None:
    """Compiled patterns are forgotten, the oldest first, when they are too many or too large together."""
    programs = _Programs()
    for index in range(40):
        pattern = f"\\pL{{100}}{index}"
        programs.put(pattern, compile_regexp(pattern))
    assert programs.get("\\pL{100}39") is not None
    assert programs.get("\\pL{100}0") is None
    assert programs._size <= 2_000_000


def test_a_rewritten_class_stays_in_its_place() -> None:
    """Long names of Unicode classes are given to RE2 in its own words, and nothing else changes."""
    assert GoPattern("(a|\\p{letter})+[\\P{^greek}b]").text == "(a|\\p{L})+[\\P{^Greek}b]"
