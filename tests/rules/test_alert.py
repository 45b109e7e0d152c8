"""The life of alerts, against a twin that keeps one mutable alert a label set and reads as the documentation does."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from trimon.model.labels import Labels
from trimon.rules.alert import (
    RESOLVED_RETENTION_MS,
    Alert,
    AlertState,
    FoundAlert,
    advance,
    is_due,
    next_change_ms,
    restored_active_ms,
    sent,
)

STEP_MS = 60_000
NAMES: list[Labels] = [(("alertname", "A"), ("i", str(number))) for number in range(3)]


@dataclass
class Twin:
    """One rule's alerts, changed in place: label set to state and times."""

    for_ms: int
    keep_ms: int
    alerts: dict[Labels, dict[str, int]] = field(default_factory=dict)

    def evaluate(self, found: set[Labels], now: int) -> None:
        for labels in found:
            alert = self.alerts.get(labels)
            if alert is None or alert["state"] == 0:
                self.alerts[labels] = {"state": 1, "active": now, "fired": 0, "resolved": 0, "kept": 0}
        for labels in list(self.alerts):
            alert = self.alerts[labels]
            if labels in found:
                alert["kept"] = 0
            else:
                keeps = False
                if alert["state"] == 2 and self.keep_ms:
                    alert["kept"] = alert["kept"] or now
                    keeps = now - alert["kept"] < self.keep_ms
                if alert["state"] == 1 or (
                    alert["resolved"] and now - alert["resolved"] > RESOLVED_RETENTION_MS
                ):
                    del self.alerts[labels]
                    continue
                if alert["state"] and not keeps:
                    alert |= {"state": 0, "resolved": now}
            if alert["state"] == 1 and now - alert["active"] >= self.for_ms:
                alert |= {"state": 2, "fired": now}


def shown(alerts: dict[Labels, Alert]) -> dict[Labels, tuple[int, int, int, int]]:
    return {
        labels: (int(alert.state), alert.active_at_ms, alert.fired_at_ms, alert.resolved_at_ms)
        for labels, alert in alerts.items()
    }


@given(
    rounds=st.lists(st.tuples(st.sets(st.sampled_from(NAMES)), st.integers(1, 9)), max_size=30),
    for_steps=st.integers(0, 4),
    keep_steps=st.integers(0, 4),
)
def test_alerts_live_as_documented(
    rounds: list[tuple[set[Labels], int]], for_steps: int, keep_steps: int
) -> None:
    """State and times are those of the twin after every evaluation, however alerts come, go and come again."""
    twin = Twin(for_steps * STEP_MS, keep_steps * STEP_MS)
    alerts: dict[Labels, Alert] = {}
    now = STEP_MS
    for found, steps in rounds:
        now += steps * STEP_MS
        alerts = advance(
            alerts, [FoundAlert(labels, (), 1.0) for labels in found], now, twin.for_ms, twin.keep_ms
        )
        twin.evaluate(found, now)
        assert shown(alerts) == {
            labels: (each["state"], each["active"], each["fired"], each["resolved"])
            for labels, each in twin.alerts.items()
        }


def test_a_raised_for_sends_an_alert_back() -> None:
    """An alert that fires is pending again when its rule wants it to be active for longer, since the same time."""
    found = [FoundAlert(NAMES[0], (), 1.0)]
    alerts = advance({}, found, 1000, 0, 0)
    alerts = {labels: sent(alert, 1000, 10, 10) for labels, alert in alerts.items()}
    (back,) = advance(alerts, found, 2000, 5000, 0).values()
    assert (back.state, back.active_at_ms, back.fired_at_ms, back.last_sent_ms) == (
        AlertState.PENDING,
        1000,
        0,
        0,
    )
    (again,) = advance({NAMES[0]: back}, found, 6000, 5000, 0).values()
    assert (again.state, again.active_at_ms, again.fired_at_ms) == (AlertState.FIRING, 1000, 6000)


def test_value_and_annotations_follow_the_series() -> None:
    """An alert that is found again has the newest value and annotations, and its old times."""
    alerts = advance({}, [FoundAlert(NAMES[0], (("s", "one"),), 1.0)], 1000, 9000, 0)
    (alert,) = advance(alerts, [FoundAlert(NAMES[0], (("s", "two"),), 2.0)], 2000, 9000, 0).values()
    assert (alert.value, alert.annotations, alert.active_at_ms) == (2.0, (("s", "two"),), 1000)


@given(
    st.sampled_from((0, 60_000, 150_000)),
    st.sampled_from((0, 60_000, 200_000)),
    st.lists(st.booleans(), min_size=1, max_size=20),
    st.booleans(),
    st.integers(1, 30),
)
def test_an_alert_changes_at_the_time_that_is_foretold(
    for_ms: int, keep_ms: int, steps: list[bool], is_found: bool, later: int
) -> None:
    """Up to the foretold time evaluations that all find an alert, or all miss it, change its value alone; then the state."""
    found = [FoundAlert(NAMES[0], (), 1.0)]
    alerts: dict[Labels, Alert] = {}
    now = 0
    for step in [True, *steps, is_found]:
        now += STEP_MS
        alerts = advance(alerts, found if step else [], now, for_ms, keep_ms)
    if not alerts:
        return
    (alert,) = alerts.values()
    due_ms = next_change_ms(alert, for_ms, keep_ms, is_found=is_found)
    then_ms = now + later * STEP_MS // 3
    after = advance(alerts, found if is_found else [], then_ms, for_ms, keep_ms)
    changed = shown(after) != shown(alerts)
    assert changed == (due_ms is not None and then_ms >= due_ms)


def test_when_alerts_are_sent() -> None:
    """Pending ones never; a firing one at once, then after more than the resend delay; its end at once, and again."""
    found = [FoundAlert(NAMES[0], (), 1.0)]
    alerts = advance({}, found, 60_000, 60_000, 0)
    assert not is_due(alerts[NAMES[0]], 60_000, 60_000)
    alerts = advance(alerts, found, 120_000, 60_000, 0)
    times = []
    for now in range(120_000, 400_000, 15_000):
        alerts = advance(alerts, found if now < 300_000 else [], now, 60_000, 0)
        alert = alerts[NAMES[0]]
        if is_due(alert, now, 60_000):
            alerts = {NAMES[0]: sent(alert, now, 15_000, 60_000)}
            times.append((now, alerts[NAMES[0]].resolved_at_ms))
            assert alerts[NAMES[0]].valid_until_ms == now + 240_000
    assert times == [(120_000, 0), (195_000, 0), (270_000, 0), (300_000, 300_000), (375_000, 300_000)]


def test_what_a_restart_restores() -> None:
    """Time without a server is no time pending; an alert that was due fires at once; one nearly due waits for the grace."""
    hour, minute = 3_600_000, 60_000
    assert restored_active_ms(10 * hour, 8 * hour, 11 * hour, hour, 10 * minute) == 8 * hour
    assert restored_active_ms(10 * hour, 10 * hour - 20 * minute, 11 * hour, hour, 10 * minute) == (
        11 * hour - 20 * minute
    )
    assert restored_active_ms(10 * hour, 10 * hour - 55 * minute, 11 * hour, hour, 10 * minute) == (
        11 * hour + 10 * minute - hour
    )
