"""What becomes of lines that were taken, whatever their protocol: names, storing, counts for people."""

from __future__ import annotations

from collections.abc import Mapping

from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.receivers.lines import LineCounts, LineFaults
from trimon.actors.storage.writer import Writer
from trimon.config.own.receivers import ListeningConfig
from trimon.errors import OperatingError
from trimon.gotext.times import rfc3339
from trimon.model.labels import format_label_set
from trimon.model.rows import Appended, SampleBatch
from trimon.remote.pushed.names import Naming, mapping


def naming_of(config: ListeningConfig) -> Naming:
    """How names become series, as it is configured."""
    mappings = [
        mapping(each.match, each.name, each.labels, drops=each.action == "drop") for each in config.mappings
    ]
    return Naming(mappings, config.labels)


def refused(answer: Appended) -> int:
    """How many samples were refused; one that is there already is none."""
    return answer.out_of_order + answer.out_of_bounds + answer.too_old + answer.series_refused


def _told(answer: Appended) -> str:
    if answer.refused_sample is None:
        return answer.error
    series, time_ms = answer.refused_sample
    return f"{answer.error}: {format_label_set(series)} at {rfc3339(time_ms)}"


async def store(batch: SampleBatch, samples: int, writer: Writer, faults: LineFaults) -> None:
    """Stores a batch of so many samples; what becomes of them is counted and told."""
    try:
        (answer,) = await writer.append(batch)
    except (OperatingError, ActorGone, AskTimeout) as error:
        faults.sample(str(error), samples)
        return
    lost = refused(answer)
    faults.counts.samples += max(0, samples - lost)
    if lost:
        faults.sample(_told(answer), lost)


def shown(counts: LineCounts) -> Mapping[str, object]:
    """Counts for people."""
    return {
        "lines": counts.lines,
        "malformed": counts.malformed,
        "samples": counts.samples,
        "refused": counts.refused,
        "connections": counts.connections,
        "last_error": counts.last_error,
    }
