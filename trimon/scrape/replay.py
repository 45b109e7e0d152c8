"""A body that was scraped, read again, with other relabeling rules: what they would make of each series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from trimon import limits
from trimon.errors import UserError
from trimon.fetch.request import BodyTooBig, Response
from trimon.model.components import is_component
from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.relabel import BoundedRelabeling, Relabeling
from trimon.records import dataclass
from trimon.redaction import redacted
from trimon.scrape.exposition.bodymemory import Lateness
from trimon.scrape.options import PoolOptions
from trimon.scrape.outcome import TargetState
from trimon.scrape.records import KeptBody
from trimon.scrape.report import EXTRA_REPORT, REPORT, report_labels
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target

LOOKED_AT: Final = 16
# Of labels that are made, and of all examples together.
LABEL_CHARACTERS_MAX: Final = limits.LABEL_VALUE_BYTES_MAX
EXAMPLES_CHARACTERS_MAX: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class ReplayedSeries:
    """A series as the target has it, with the target's labels, and what it becomes; None where it is dropped."""

    exposed: Labels
    now: Labels | None
    then: Labels | None
    """By the rules that are tried."""


@dataclass(slots=True)
class Replay:
    """What became of all series of a body."""

    series: int = 0
    kept_now: int = 0
    kept_then: int = 0
    dropped: int = 0
    """Kept now, dropped by the rules that are tried."""
    gained: int = 0
    changed: int = 0
    """Kept by both, with other labels."""
    collisions: int = 0
    """Series that get the labels of another one by the rules that are tried."""
    invalid: int = 0
    """Series that lose their name by them: a scrape with one of these fails."""
    examples: tuple[ReplayedSeries, ...] = ()
    """Some that differ."""


def replay(
    target: Target,
    options: PoolOptions,
    kept: KeptBody,
    rules: Relabeling,
    *,
    examples_max: int,
    is_late: Lateness,
) -> Replay:
    """Reads a body as the target's next scrape would, without its limits. In a thread. Raises UserError.

    Series with a time of their own count with the others; a native histogram is one series. Credentials are out before any
    rule sees a label: what a rule matches would tell of them too.
    """
    found = Replay()
    examples: list[ReplayedSeries] = []
    seen: set[Labels] = set()
    room = EXAMPLES_CHARACTERS_MAX
    for index, exposed in enumerate(_exposed(target, options, kept, is_late)):
        if not index % LOOKED_AT and is_late():
            raise UserError(f"the rules take too long: {index} series were looked at")
        now, then = _relabeled(options.metric_relabeling, exposed), _relabeled(rules, exposed)
        found.series += 1
        found.kept_now += now is not None
        found.kept_then += then is not None
        found.dropped += now is not None and then is None
        found.gained += now is None and then is not None
        found.changed += now is not None and then is not None and now != then
        if then is not None:
            found.invalid += not dict(then).get(METRIC_NAME)
            found.collisions += then in seen
            seen.add(then)
        if now != then and len(examples) < examples_max and room > 0:
            examples.append(ReplayedSeries(exposed, now, then))
            shown = (exposed, now or (), then or ())
            room -= sum(len(name) + len(value) for each in shown for name, value in each)
    found.examples = tuple(examples)
    return found


def tried(target: Target, options: PoolOptions, kept: KeptBody, is_late: Lateness) -> TargetState | None:
    """What a first scrape by other options would make of a body, limits included. In a thread. Raises UserError.

    None when it takes too long, and where the body holds a credential: what rules match, and limits, would tell of it.
    """
    body = kept.body()
    text = body.decode("latin-1")
    if redacted(text) != text:
        return None
    bounded = BoundedRelabeling(options.metric_relabeling, LABEL_CHARACTERS_MAX)
    session = ScrapeSession(target, replace(options, metric_relabeling=bounded))
    if len(body) > options.body_bytes_max:
        session.fail(BodyTooBig(options.body_bytes_max), kept.at_ms, 0.0)
    else:
        session.succeed(Response(200, "OK", kept.content_type, body, len(body)), kept.at_ms, 0.0, is_late)
    return None if is_late() else session.state


def _relabeled(rules: Relabeling, exposed: Labels) -> Labels | None:
    labels = dict(exposed)
    if not rules.apply_tried(labels, LABEL_CHARACTERS_MAX):
        return None
    return labels_of({name: value for name, value in labels.items() if value})


def _exposed(target: Target, options: PoolOptions, kept: KeptBody, is_late: Lateness) -> Iterator[Labels]:
    """The series of a body before the job's rules. Raises UserError for a body that is no good."""
    body = kept.body()
    text = body.decode("latin-1")
    shows = redacted if redacted(text) != text else None
    bare = replace(
        options,
        metric_relabeling=Relabeling(()),
        sample_limit=0,
        label_limit=0,
        label_name_length_limit=0,
        label_value_length_limit=0,
        keep_known=False,
        exposed_sample_limit=0,
        metric_name_limit=0,
        new_series_limit=0,
    )
    session = ScrapeSession(target, bare)
    answer = Response(200, "OK", kept.content_type, body, len(body))
    outcome = session.succeed(answer, kept.at_ms, 0.0, is_late)
    if session.state.health != "up":
        raise UserError(f"the body cannot be read: {session.state.last_error}")
    report = {report_labels(name, target.labels) for name in REPORT + EXTRA_REPORT}
    timed = outcome.batch.series if outcome.batch is not None else ()
    for labels in dict.fromkeys((*outcome.row.new_series, *timed)):
        if labels not in report and not is_component(labels):
            yield labels if shows is None else tuple((name, shows(value)) for name, value in labels)
