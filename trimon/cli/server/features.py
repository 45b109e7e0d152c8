"""Every name that `--enable-feature` takes in Prometheus: what it does here, or why it does nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from trimon.errors import OperatingError
from trimon.records import dataclass

if TYPE_CHECKING:
    # Checks ask for names alone, and do not wait for the log.
    from trimon.log import Log


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature flag. `inert`: why nothing acts on it; `note`: what a user is told who has it all the same."""

    inert: str = ""
    note: str = ""


FEATURES: Final[dict[str, Feature]] = {
    "auto-reload-config": Feature(note="deprecated; use --config.auto-reload"),
    "concurrent-rule-eval": Feature(),
    "created-timestamp-zero-ingestion": Feature(),
    "delayed-compaction": Feature(inert="compactions are not delayed"),
    "exemplar-storage": Feature(),
    "extra-scrape-metrics": Feature(note="deprecated; set extra_scrape_metrics in the configuration"),
    "fast-startup": Feature(inert="a start waits for no block"),
    "histograms-st-encoding": Feature(inert="no start timestamps are stored"),
    "memory-snapshot-on-shutdown": Feature(inert="the log is replayed at every start"),
    "metadata-wal-records": Feature(inert="the log has metadata always"),
    "native-histograms": Feature(inert="set scrape_native_histograms in the configuration"),
    "old-ui": Feature(inert="there is no user interface that it could replace"),
    "ooo-native-histograms": Feature(inert="native histograms are taken as samples are"),
    "otlp-deltatocumulative": Feature(),
    "otlp-native-delta-ingestion": Feature(),
    "promql-binop-fill-modifiers": Feature(),
    "promql-delayed-name-removal": Feature(),
    "promql-duration-expr": Feature(inert="duration expressions are always read"),
    "promql-experimental-functions": Feature(),
    "promql-extended-range-selectors": Feature(),
    "promql-per-step-stats": Feature(),
    "search-api": Feature(),
    "st-storage": Feature(inert="no start timestamps are stored"),
    "st-synthesis": Feature(inert="counters are stored as they are"),
    "type-and-unit-labels": Feature(),
    "use-start-timestamps": Feature(inert="no start timestamps are stored"),
    "use-uncached-io": Feature(inert="blocks are read as the system reads files"),
    "xor2-encoding": Feature(inert="blocks hold columns, which have no such encoding"),
}


def named_features(texts: Iterable[str]) -> list[str]:
    """The names in the values of `--enable-feature`, which are lists between commas."""
    return [name for text in texts for name in text.split(",")]


def enabled_features(texts: tuple[str, ...], log: Log) -> frozenset[str]:
    """The features that a command line asks for; what does nothing is warned of by name. Raises OperatingError."""
    asked = named_features(texts) if any(texts) else []
    both = {"otlp-deltatocumulative", "otlp-native-delta-ingestion"}
    if both <= set(asked):
        raise OperatingError(
            "Error parsing feature list: cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion "
            "features at the same time"
        )
    if "st-storage" in asked and "xor2-encoding" not in asked:
        raise OperatingError("feature st-storage needs xor2-encoding")
    for name in asked:
        feature = FEATURES.get(name)
        if feature is None:
            log.warning("Unknown option for --enable-feature", option=name)
        elif feature.inert:
            log.warning("this option for --enable-feature has no effect", option=name, reason=feature.inert)
        elif feature.note:
            log.warning("this option for --enable-feature is limited", option=name, reason=feature.note)
    return frozenset(name for name in asked if name in FEATURES)
