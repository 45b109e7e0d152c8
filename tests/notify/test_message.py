"""What Alertmanagers are told, to the byte."""

from __future__ import annotations

from trimon.notify.message import AlertMessage, encode, generator_url


def test_the_body_is_gos() -> None:
    """Members in Prometheus' order, times in milliseconds, characters of HTML escaped, no annotations when there are none."""
    labels = (("alertname", "A"), ("b", "<&>"))
    first = AlertMessage(
        labels, (("s", "tab\t\u2028"),), 1_700_000_000_123, 1_700_000_240_000, "http://x/graph"
    )
    second = AlertMessage((("alertname", "B"),), (), 0, 5)
    assert encode([first, second]).decode() == (
        '[{"annotations":{"s":"tab\\t\\u2028"},"endsAt":"2023-11-14T22:17:20.000Z","startsAt":"2023-11-14T22:13:20.123Z",'
        '"generatorURL":"http://x/graph","labels":{"alertname":"A","b":"\\u003c\\u0026\\u003e"}},'
        '{"endsAt":"1970-01-01T00:00:00.005Z","startsAt":"1970-01-01T00:00:00.000Z","generatorURL":"",'
        '"labels":{"alertname":"B"}}]'
    )


def test_where_an_expression_is_seen() -> None:
    """The expression is a parameter of the graph page under the external URL."""
    assert generator_url("http://prom.test/x/", 'm{a="b"} > 0') == (
        "http://prom.test/x/graph?g0.expr=m%7Ba%3D%22b%22%7D+%3E+0&g0.tab=1"
    )
