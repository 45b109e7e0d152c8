"""The reload itself, with parts that fail in ways nobody foresaw."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from trimon.clock import Clock
from trimon.config import load_text
from trimon.log import LogBuffer
from trimon.offload import InlineOffload
from trimon.selfmetrics import SelfMetrics
from trimon.server.configuration import LoadedConfiguration
from trimon.server.reload import Reload
from trimon.virtualclock import VirtualClock
from trimon.web.notifications import Notifications

# No part is reached, and there was no configuration before.
NO_PARTS: Any = None
NOTHING_LOADED: Any = SimpleNamespace(loaded=None)


class Stepless(Reload):
    """A reload that brings the configuration to nobody."""

    def _steps(self) -> tuple[()]:
        return ()


async def test_a_bug_in_a_reload_is_a_failed_reload() -> None:
    """Whatever a reload raises, the metric says that it failed; who asked hears of it, a signal ends nothing."""
    clock: Clock = VirtualClock()
    metrics, log = SelfMetrics(), LogBuffer()
    seams: Any = SimpleNamespace(clock=clock, metrics=metrics, log=log, parse_threads=InlineOffload())
    answers: list[Any] = [ZeroDivisionError("a bug"), ZeroDivisionError("a bug"), None]

    def load() -> LoadedConfiguration:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return LoadedConfiguration(load_text("", "p.yml"))

    told = Notifications(clock)
    reload = Stepless(NO_PARTS, NOTHING_LOADED, seams, load, told)
    name = "prometheus_config_last_reload_successful"
    assert metrics.value(name, {}) == 1
    with pytest.raises(ZeroDivisionError):
        await reload.run()
    assert metrics.value(name, {}) == 0
    await reload.run_quietly()
    assert metrics.value(name, {}) == 0
    assert "a bug" in str(log.entries[-1])
    await reload.run()
    assert metrics.value(name, {}) == 1


async def test_settings_that_nothing_acts_on_are_told_until_a_reload_is_without_them() -> None:
    """Their number is a metric, their names and places a notification."""
    clock: Clock = VirtualClock()
    metrics, log, told = SelfMetrics(), LogBuffer(), Notifications(clock)
    seams: Any = SimpleNamespace(clock=clock, metrics=metrics, log=log, parse_threads=InlineOffload())
    texts = [
        "storage: {tsdb: {stale_series_compaction_threshold: 1}}\ntracing: {endpoint: x:1, tls_config: {ca_ref: x}}\n",
        "global: {}\n",
    ]
    reload = Stepless(
        NO_PARTS,
        NOTHING_LOADED,
        seams,
        lambda: LoadedConfiguration(load_text(texts.pop(0), "p.yml")),
        told,
    )
    await reload.run()
    assert metrics.value("trimon_config_unsupported_settings", {}) == 2
    (notification,) = told.current
    assert notification.text.endswith(": stale_series_compaction_threshold (p.yml:1:18), ca_ref (p.yml:2:39)")
    warned = [fields["at"] for _, _, fields in log.entries if fields.get("setting")]
    assert warned == ["p.yml:1:18", "p.yml:2:39"]
    await reload.run()
    assert metrics.value("trimon_config_unsupported_settings", {}) == 0
    assert told.current == []
