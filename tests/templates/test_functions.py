"""Functions of text, where the recordings say little."""

from __future__ import annotations

import pytest

from tests.support.template_world import NOW_MS, no_queries
from trimon.templates.alerts import AlertData, AlertTemplate
from trimon.templates.consoles import ConsoleData, ConsoleTemplate

DATA = AlertData({}, 1.0, {}, "http://p.example/mon")


@pytest.mark.parametrize(
    ("template", "want"),
    [
        ('{{ title "o\'neil foo_bar a.b 3d A1b2 x-y don\'t" }}', "O'neil Foo_bar A.b 3D A1b2 X-Y Don't"),
        ('{{ title "ßa ǆx 漢ab كéa ⅷ a²b" }}', "Ssa ǅx 漢Ab كÉa Ⅷ A²B"),
        ('{{ toUpper "straße ŉ é" }}|{{ toLower "ẞ É" }}', "STRAßE ŉ É|ß é"),
        ('{{ stripDomain "a.b:" }}|{{ stripDomain "%a.b:1" }}|{{ stripDomain "01.2.3.4" }}', "a|%a:1|01"),
        ('{{ stripPort "[::1" }}|{{ stripPort "a:b:c" }}|{{ stripPort "[a]b:1" }}', "[::1|a:b:c|[a]b:1"),
        ('{{ reReplaceAll "a*" "x" "baac" }}|{{ reReplaceAll "" "-" "é☃" }}', "xbxcx|-é-☃-"),
        ('{{ reReplaceAll "(?P<n>a)" "${n}$n_$n-$$" "a" }}', "aa-$"),
        ('{{ match "a.c" "a\\nc" }} {{ match "(?s)a.c" "a\\nc" }} {{ match "^b$" "a\\nb" }}', "false true false"),
        ('{{ parseDuration "-1h" }} {{ parseDuration "-0s" }}', "-3600 0"),
        ('{{ (toTime 1435065584.128).AddDate 1 -1 40 }}', "2016-07-02 13:19:44.128 +0000 UTC"),
        ("{{ $d := toDuration 90.5 }}{{ $d.Minutes }} {{ $d.Round 60000000000 }}", "1.5083333333333333 2m0s"),
    ],
)  # fmt: skip
def test_texts(template: str, want: str) -> None:
    """Words, hosts, replacements and times are what Go makes of them."""
    assert AlertTemplate("x", template).expand(DATA, no_queries, NOW_MS) == want


@pytest.mark.parametrize(
    ("url", "base", "prefix"),
    [
        ("http://mon.example:9/", "http://mon.example:9", ""),
        ("http://mon.example:9", "http://mon.example:9", ""),
        ("http://mon.example/x//", "http://mon.example/x", "/x"),
        ("http://mon.example/a%20b/?c=/", "http://mon.example/a%20b?c=/", "/a b"),
        ("http://[::1/", "http://[::1", ""),
        ("/x/", "/x", "/x"),
        ("", "", ""),
    ],
)
def test_links_have_one_slash(url: str, base: str, prefix: str) -> None:
    """`externalURL` and `pathPrefix` are what links are put behind, so no slash ends them, in alerts and consoles."""
    text = '{{ externalURL }}{{ graphLink "x" }} {{ pathPrefix }}'
    expanded = AlertTemplate("x", text).expand(AlertData({}, 1.0, {}, url), no_queries, NOW_MS)
    assert expanded == f"{base}/graph?g0.expr=x&g0.tab=0 {prefix}"
    page = ConsoleTemplate("x.html", "{{ externalURL | safeHtml }}|{{ pathPrefix }}")
    assert page.render(ConsoleData("x.html", {}, {}, url), no_queries, NOW_MS) == f"{base}|{prefix}"
