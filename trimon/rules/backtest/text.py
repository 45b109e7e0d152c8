"""The report of a backtest for people: from the plain data that the API answers, whoever made them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from trimon.gotext.times import parse_rfc3339_ms
from trimon.model.labels import format_label_set, format_labels, labels_of
from trimon.units import format_duration

_STATE_WIDTH: Final = len("resolved")
_MARKS: Final = (("onlyOld", "-"), ("onlyNew", "+"))


def report_lines(data: dict[str, Any]) -> Iterator[str]:
    """The lines of a report; where two versions are compared those of the difference alone."""
    if "difference" in data:
        yield from _difference(data)
        return
    for number, group in enumerate(data["groups"]):
        if number:
            yield ""
        every = format_duration(round(group["interval"] * 1000))
        yield f"group {group['name']} of {group['file']}, every {every}, {data['start']} to {data['end']}"
        for rule in group["rules"]:
            yield ""
            yield from _rule(rule)


def _rule(rule: dict[str, Any]) -> Iterator[str]:
    alerting = rule["type"] == "alerting"
    query = " ".join(rule["query"].split())
    yield f"  {'alert' if alerting else 'record'} {rule['name']}: {query}"
    if rule["failures"]:
        first = rule["firstFailure"]
        failed = f"{rule['failures']} of {rule['evaluations']} evaluations failed"
        yield f"    {failed}, first at {first['at']}: {first['error']}"
    if "templateError" in rule:
        yield f"    a template failed: {rule['templateError']}"
    if alerting:
        yield from _alerts(rule)
        return
    yield f"    {_counted(rule['samples'], 'sample')} in {rule['seriesCount']} series"
    for series in rule["series"]:
        (_, first), (_, last) = series["first"], series["last"]
        shown = format_labels(labels_of(series["labels"]))
        yield f"    {shown}: {_counted(series['samples'], 'sample')}, from {first} to {last}"
    if len(rule["series"]) < rule["seriesCount"]:
        yield f"    and {rule['seriesCount'] - len(rule['series'])} more series"


def _alerts(rule: dict[str, Any]) -> Iterator[str]:
    yield f"    {_counted(rule['alerts'], 'alert')}, {_fired(rule)}"
    for series in rule["series"]:
        labels = format_label_set(labels_of(series["labels"]))
        yield f"    {labels}: {_fired(series)}"
        annotations: dict[str, str] = {}
        before_ms: int | None = None
        for event in series["events"]:
            at_ms = _milliseconds(event["at"])
            began = event["state"] == "pending" or before_ms is None
            after = "" if began or before_ms is None else f" after {format_duration(at_ms - before_ms)}"
            yield f"      {event['at']}  {event['state']:{_STATE_WIDTH}}  {event['value']}{after}"
            for name, text in event["annotations"].items():
                if annotations.get(name) != text:
                    yield f"        {name}: {_indented(text)}"
            annotations = event["annotations"]
            before_ms = None if event["state"] in ("resolved", "inactive") else at_ms


def _indented(text: str) -> str:
    return "\n          ".join(text.splitlines())


def _fired(counts: dict[str, Any]) -> str:
    if not counts["fired"]:
        return "never fired"
    times = "once" if counts["fired"] == 1 else f"{counts['fired']} times"
    return f"fired {times}, for {format_duration(round(counts['firingSeconds'] * 1000))}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _milliseconds(text: str) -> int:
    moment_ms = parse_rfc3339_ms(text)
    assert moment_ms is not None
    return moment_ms


def _difference(data: dict[str, Any]) -> Iterator[str]:
    found = data["difference"]
    if found["equal"]:
        yield f"no difference between {found['old']} and {found['new']}, {data['start']} to {data['end']}"
        return
    yield f"--- {found['old']}"
    yield f"+++ {found['new']}"
    yield f"{data['start']} to {data['end']}"
    for rule in found["rules"]:
        only = "" if rule["in"] == "both" else f", only in {found[rule['in']]}"
        yield ""
        yield f"{'alert' if rule['type'] == 'alerting' else 'record'} {rule['name']} of group {rule['group']}{only}"
        failures = rule["failures"]
        if failures["old"] != failures["new"]:
            yield f"  evaluations that failed: - {failures['old']} + {failures['new']}"
        if rule["type"] == "alerting":
            for series in rule["series"]:
                yield from _alert_difference(series)
            continue
        samples = rule["samples"]
        yield f"  - {samples['onlyOld']} + {samples['onlyNew']} samples, {samples['different']} with another value"
        if "firstDifference" in rule:
            yield f"  first at {rule['firstDifference']}"


def _alert_difference(series: dict[str, Any]) -> Iterator[str]:
    yield f"  {format_label_set(labels_of(series['labels']))}"
    lines: list[tuple[str, str, str]] = []
    for name, mark in _MARKS:
        lines += [(episode["active"], mark, _episode(episode)) for episode in series[name]]
    for moved in series["moved"]:
        began = moved["old"]["active"]
        lines += [(began, "-", _episode(moved["old"])), (began, "+", _episode(moved["new"]))]
    for _, mark, text in sorted(lines, key=lambda line: line[0]):
        yield f"    {mark} {text}"
    if series["otherAnnotations"]:
        yield f"    {_counted(series['otherAnnotations'], 'change')} with other annotations"


def _episode(episode: dict[str, str | None]) -> str:
    firing = f"firing {episode['firing']}" if episode["firing"] else "never fires"
    ended = f"over {episode['ended']}" if episode["ended"] else "not over"
    return f"active {episode['active']}, {firing}, {ended}"
